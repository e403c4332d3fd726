"""Measurements of speed on this machine, as commands."""
