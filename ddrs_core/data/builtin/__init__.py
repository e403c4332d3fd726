"""Data sets that the program knows by name."""
