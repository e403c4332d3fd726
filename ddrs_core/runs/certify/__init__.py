"""Certifying a data set."""
