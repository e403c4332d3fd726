"""The training methods by name.

A new method is one file with a frozen dataclass, its hyper-parameters as fields and ``check`` and
``loss`` as methods, and one line here.
"""

from __future__ import annotations

from ddrs_core.errors import unknown_name
from ddrs_core.training.methods.base import TrainingMethod
from ddrs_core.training.methods.gaussian import Gaussian
from ddrs_core.training.methods.macer import Macer
from ddrs_core.training.methods.smoothadv import SmoothAdv

METHODS: dict[str, type[TrainingMethod]] = {
    "gaussian": Gaussian,
    "smoothadv": SmoothAdv,
    "macer": Macer,
}


def get_method(name: str) -> type[TrainingMethod]:
    """The class of a training method.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in METHODS:
        raise unknown_name("training method", name, METHODS)
    return METHODS[name]
