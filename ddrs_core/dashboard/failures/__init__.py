"""The page that says why images are not certified, and what would help."""
