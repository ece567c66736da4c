"""Measures how fast Towpath is, beside what it is measured against: `make bench`."""
