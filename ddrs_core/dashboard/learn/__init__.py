"""The page that teaches randomized smoothing, lesson by lesson."""
