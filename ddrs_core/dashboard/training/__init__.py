"""The page that trains models."""
