"""A type of subscription for Towpath that reads a list of releases."""
