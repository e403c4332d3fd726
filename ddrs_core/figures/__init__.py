"""Plotly figures from plain data, as plain dictionaries: ``{"data": [...], "layout": {...}}``.

They are dictionaries and not ``plotly.graph_objects`` because a live page makes several of them
ten times a second for every visitor, and validation would cost more than the computation.
"""

from ddrs_core.figures.certification import interval_figure
from ddrs_core.figures.comparison import (
    certified_accuracy_figure,
    curve_styles,
    radius_against_radius_figure,
)
from ddrs_core.figures.curve import curve_figure
from ddrs_core.figures.memory.bank import (
    bank_gaps_figure,
    bank_growth_figure,
    bank_radii_figure,
    bank_sigmas_figure,
    changing_images_figure,
    order_study_figure,
)
from ddrs_core.figures.memory.meeting import collision_figure, walk_figure
from ddrs_core.figures.memory.settlement import plane_figure, ruler_figure
from ddrs_core.figures.moved import moved_figure
from ddrs_core.figures.palette import Figure, encode_figure
from ddrs_core.figures.sigma_choices import (
    radius_against_sigma_figure,
    sigma_by_class_figure,
    sigma_by_correctness_figure,
)
from ddrs_core.figures.training import quantiles, sigmas_figure, training_figure
from ddrs_core.figures.trajectory import trajectory_figure
from ddrs_core.figures.tuning import tuning_figure
from ddrs_core.figures.votes import votes_figure
