"""The home page: what this is for, what is at hand, and what is running."""

from ddrs_core.dashboard.home import show_home

show_home()
