"""A step for Towpath that greets."""
