"""A world on loopback for the demo and the tests: what Towpath finds outside, played by small servers."""
