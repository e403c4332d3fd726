"""The training methods by name.

A new method is one file and one line here: a frozen dataclass, a
:class:`~ddrs_core.parameters.Configuration` whose fields are its hyper-parameters, with ``passes``
and ``loss``.
"""

from __future__ import annotations

from ddrs_core.errors import unknown_name
from ddrs_core.training.methods.base import TrainingMethod
from ddrs_core.training.methods.consistency import Consistency
from ddrs_core.training.methods.gaussian import Gaussian
from ddrs_core.training.methods.macer import Macer
from ddrs_core.training.methods.smoothadv import SmoothAdv

METHODS: dict[str, type[TrainingMethod]] = {
    "gaussian": Gaussian,
    "smoothadv": SmoothAdv,
    "macer": Macer,
    "consistency": Consistency,
}


def get_method(name: str) -> type[TrainingMethod]:
    """The class of a training method.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in METHODS:
        raise unknown_name("training method", name, METHODS)
    return METHODS[name]
