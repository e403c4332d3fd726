"""Data sets and images that people add."""
