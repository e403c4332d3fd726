"""What a certification run is asked to do, and which images it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from ddrs_core.data import Dataset, get_dataset_info, image_digest
from ddrs_core.errors import InvalidParameterError, NamedEnum
from ddrs_core.models import check_fit, get_card, open_for_model
from ddrs_core.models.inference.device import PRECISIONS
from ddrs_core.parameters import Configuration, described, nested, parameter
from ddrs_core.smoothing import Bound, Certificate, CertificationBudget, Grade, StrategyConfig
from ddrs_core.smoothing.confidence import check_sigma
from ddrs_core.smoothing.sigma.strategies import config_from_dict
from ddrs_core.smoothing.stopping import rule_from_dict, rule_to_dict

_LOOKED_AT = 8  # images, about, whose pixels tell whether a plan is still the same


class Method(NamedEnum, kind="method"):
    """Where the noise level of an image comes from."""

    FIXED = "fixed"  # the same sigma for every image
    TUNED = "tuned"  # the same for every image, chosen on training images around sigma_0
    DS = "ds"  # data-dependent sigma, starting from sigma_0
    DS_MEMORY = "ds-memory"  # the same, settled against a memory bank in the order of the plan


ONE_SIGMA = (Method.FIXED, Method.TUNED)  # methods with the same sigma for every image


@dataclass(frozen=True)
class CertifyConfig(Configuration):
    """One certification run."""

    dataset: str = field(
        metadata=described("see: datasets; or the path of a folder, a parquet file or a picture")
    )
    model: str = field(metadata=described("see: models; or the path of a checkpoint"))
    method: Method
    sigma: float  # sigma_0 where the method chooses others
    strategy: StrategyConfig | None = None  # data-dependent methods only
    bank: str = parameter(
        "", "ds-memory: the memory bank that certificates are settled against; new or your own"
    )
    tuned: float | None = None  # the level of method tuned, once it is chosen; not part of to_dict
    budget: CertificationBudget = nested(CertificationBudget)
    split: str = parameter("test", "part of the data set", choices=("test", "train"), brief=True)
    skip: int = parameter(1, "every K-th image, as in Cohen's code", low=1, brief=True)
    start: int = parameter(0, "first image", brief=True)
    limit: int | None = parameter(None, "at most so many images; default: all", low=1)
    indices: tuple[int, ...] | None = parameter(None, "these images instead", flag="index")
    precision: str = parameter("auto", "of the network", choices=("auto", *PRECISIONS), brief=True)
    device: str = parameter("auto", "auto, cpu or cuda[:i]", brief=True)
    batch_size: int | None = parameter(
        None,
        "samples a batch; default: by image and free memory. A row records it, and --resume keeps "
        "it: the same seed, machine, software and batch size give the same counts, others may "
        "count single votes differently",
    )

    def check(self) -> Self:
        """Raises InvalidParameterError if a number makes no sense, whatever the data set."""
        check_sigma(self.sigma)
        super().check()
        if self.indices is not None and len(set(self.indices)) < len(self.indices):
            raise InvalidParameterError("An image is listed more than once.")
        if (self.strategy is None) != (self.method in ONE_SIGMA):
            raise InvalidParameterError(f"Method {self.method} and its strategy do not fit.")
        if self.tuned is not None:
            check_sigma(self.tuned)
        if bool(self.bank) != (self.method is Method.DS_MEMORY):
            raise InvalidParameterError(
                "A memory bank goes with the method ds-memory, and that needs one."
            )
        return self

    @property
    def grade(self) -> Grade:
        """What the radii are worth before they are settled against a bank, if they are."""
        return Grade.UNCONDITIONAL if self.method in ONE_SIGMA else Grade.CONDITIONAL

    @property
    def level(self) -> float:
        """The noise level of all images, or where those of the images begin."""
        return self.sigma if self.tuned is None else self.tuned

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, in the form of every earlier version: the budget's numbers stand
        among the others, and its stopping rule is called ``until``."""
        data = {**asdict(self), **asdict(self.budget)}
        del data["budget"], data["stop"], data["tuned"]
        stop = self.budget.stop
        return {**data, "until": None if stop is None else rule_to_dict(stop)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CertifyConfig:
        """The inverse of :meth:`to_dict`, also after a way through JSON.

        Raises:
            InvalidParameterError: if it is something else.
        """
        try:
            rest = dict(data)
            numbers = {name: rest.pop(name) for name in ("n0", "n", "alpha", "seed")}
            bound, until = Bound(rest.pop("bound", Bound.ONE_SIDED)), rest.pop("until")
            stop = None if until is None else rule_from_dict(until)
            strategy, indices = rest["strategy"], rest["indices"]
            return cls(
                **{
                    **rest,
                    "method": Method(data["method"]),
                    "strategy": None if strategy is None else config_from_dict(strategy),
                    "budget": CertificationBudget(**numbers, bound=bound, stop=stop),
                    "indices": None if indices is None else tuple(int(i) for i in indices),
                }
            ).check()
        except (KeyError, TypeError) as error:
            raise InvalidParameterError(
                f"The settings of the run cannot be read: {error}."
            ) from None


def setting_title(config: CertifyConfig) -> str:
    """Such as ``ds 0.5``, ``tuned sigma from 0.5``, and ``tuned sigma 0.3`` once it is chosen."""
    if config.method is Method.TUNED:
        return f"tuned sigma {'from ' if config.tuned is None else ''}{config.level:.4g}"
    return f"{config.method} {config.sigma:g}"


def as_certified(config: CertifyConfig, certificates: Sequence[Certificate]) -> CertifyConfig:
    """A configuration of method ``tuned`` with the level of its certificates, if it has any."""
    if config.method is not Method.TUNED or not certificates:
        return config
    return replace(config, tuned=certificates[0].sigma)


def shared_votes(configs: Sequence[CertifyConfig]) -> dict[int, int]:
    """Which settings of a run need no votes of their own: one with a memory takes the certificates
    of the data-dependent setting that is the same but for the memory, and settles those.

    Returns:
        The number of the setting that votes, by that of the setting with a memory.
    """
    voting = {c: i for i, c in reversed(list(enumerate(configs))) if c.method is Method.DS}
    without = [replace(c, method=Method.DS, bank="") if c.bank else None for c in configs]
    return {i: voting[c] for i, c in enumerate(without) if c in voting}


def open_plan(config: CertifyConfig) -> tuple[Dataset, list[int]]:
    """The images of a run and its plan, without the model.

    Raises:
        DDRSError: for a name or number that makes no sense, or things that do not fit.
    """
    card = get_card(config.check().model)
    check_fit(card, get_dataset_info(config.dataset))
    dataset = open_for_model(config.dataset, card, config.split)
    return dataset, plan_images(config, dataset)


def plan_digest(dataset: Dataset, plan: Sequence[int]) -> str:
    """Tells whether a plan still means the same images: from the labels of all and the pixels of a
    few, so that it costs no time."""
    digest = hashlib.sha256(repr([(i, dataset.label(i)) for i in plan]).encode())
    for at in sorted({k * (len(plan) - 1) // _LOOKED_AT for k in range(_LOOKED_AT + 1)}):
        read = dataset.read([plan[at]])
        digest.update((image_digest(read.images[0]) if read.indices else "unreadable").encode())
    return digest.hexdigest()[:16]


def plan_images(config: CertifyConfig, dataset: Dataset) -> list[int]:
    """The images that a run certifies, in order.

    Raises:
        InvalidParameterError: if an image does not exist, or none is selected.
    """
    if config.indices is not None:
        plan = [dataset.check_index(index) for index in config.indices]
    else:
        plan = list(range(dataset.check_index(config.start), len(dataset), config.skip))
    if not plan:
        raise InvalidParameterError("No image is selected.")
    return plan[: config.limit]
