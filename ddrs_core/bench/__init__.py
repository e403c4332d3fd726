"""Measurements on this machine, of speed and of sigma strategies, as commands."""
