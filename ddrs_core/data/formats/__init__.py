"""Layouts of files that hold images."""
