"""Data sets and images that people bring."""
