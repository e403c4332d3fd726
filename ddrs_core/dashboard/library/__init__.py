"""The page that lists data sets and models, and adds more."""
