"""The explorer: watch the noise level of one image being optimised, and certify it."""

from ddrs_core.dashboard.explorer import show_explorer

show_explorer()
