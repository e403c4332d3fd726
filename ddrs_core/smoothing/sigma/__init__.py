"""Strategies that choose sigma for one input."""
