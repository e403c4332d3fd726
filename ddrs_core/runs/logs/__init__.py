"""Certification logs: written, read, checked."""
