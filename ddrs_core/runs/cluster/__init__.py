"""Certifying on a Ray cluster."""
