"""The home page: the jobs and runs of a visitor, and a small moving picture of the explorer."""
