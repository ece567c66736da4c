"""Credentials that a Secret doesn't hold but leads to: tokens that are asked for, and last a while."""
