"""The page that looks into a memory bank."""
