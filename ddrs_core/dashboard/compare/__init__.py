"""The page that certifies data sets and compares results."""
