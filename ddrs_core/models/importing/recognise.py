"""Which architecture a set of weights belongs to, found out from names and shapes alone.

Each architecture is built without memory for three numbers of classes and channels; the
differences show which sizes are the number of classes K and which the number of channels C.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ddrs_core.errors import CheckpointError, InvalidParameterError
from ddrs_core.models.architectures import (
    Architecture,
    get_architecture,
    list_architectures,
    list_torchvision_architectures,
)
from ddrs_core.models.importing.sniff import RawCheckpoint

_FACTORIES: Final = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_RANDOM: Final = {Tensor.normal_, Tensor.uniform_}
_K: Final = 10  # classes of the trial builds
_COUNTER: Final = ".num_batches_tracked"
_MAX_EXAMPLES: Final = 3

# other names for the same function, tried when the names in the file do not fit as they are
_ALIASES: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (r"cifar_resnet\d+(_projection)?", ((r"^linear\.", "fc."), (r"\.shortcut\.", ".downsample."))),
    (r"cifar_resnet18", ((r"^fc\.", "linear."), (r"\.downsample\.", ".shortcut."))),
    # torchvision's DenseNet before 0.3 had dots: denselayer1.norm.1
    (r"densenet\d+", ((r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2."),)),
)
_AUX_HEADS: Final = re.compile(r"^(aux1|aux2|AuxLogits)\.")  # of two networks, for training only


@dataclass(frozen=True)
class Recognition:
    """An architecture that a file's weights fit exactly."""

    architecture: str
    num_classes: int
    in_channels: int
    shape: tuple[int, int, int]  # (C, H, W) that the architecture was designed for
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """How the weights of a file compare with an architecture's."""

    state: dict[str, Tensor]  # under the architecture's names
    num_classes: int | None
    in_channels: int | None
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]  # "fc.weight is [10, 64], should be [10, 128]"
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.reshaped)

    @property
    def distance(self) -> int:
        """How many weights do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped)


@dataclass(frozen=True)
class _Size:
    """A dimension ``base + per_class * K + per_channel * C``."""

    base: int
    per_class: int = 0
    per_channel: int = 0


class _WithoutMemory(TorchFunctionMode):
    """Makes weights on the meta device, but lets small index tables be computed.

    Initial values are not drawn: on that device torch would load its compiler to do so.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _RANDOM:
            return args[0]
        if func in _FACTORIES:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def recognise(raw: RawCheckpoint) -> list[Recognition]:
    """The architectures whose weights have exactly these names and shapes, best first.

    Our own are tried first, then torchvision's; empty where nothing fits.
    """
    return recognise_state(raw.state, raw.arch_hint)


def recognise_state(state: Mapping[str, Tensor], arch_hint: str = "") -> list[Recognition]:
    """Like :func:`recognise`, for weights alone and the name that the file gives them."""
    count = sum(not k.endswith(_COUNTER) and not _AUX_HEADS.match(k) for k in state)
    own = (a for a in list_architectures() if _number_of_weights(a) == count)
    found = [r for a in own if (r := _recognition(state, a))]
    found = found or [
        r
        for a in _torchvision_candidates(state, arch_hint)
        if _number_of_weights(a) == count and (r := _recognition(state, a))
    ]
    return sorted(found, key=lambda r: (r.architecture != arch_hint, len(r.notes)))


def _recognition(state: Mapping[str, Tensor], architecture: Architecture) -> Recognition | None:
    fit = compare(state, architecture)
    if not fit.fits or fit.num_classes is None or fit.in_channels is None:
        return None
    shape = (fit.in_channels, *architecture.shape[1:])
    return Recognition(architecture.name, fit.num_classes, fit.in_channels, shape, fit.notes)


@lru_cache(maxsize=256)
def _number_of_weights(architecture: Architecture) -> int:
    """A quick look, since all sizes of an architecture take up to half a second."""
    names = _shapes(architecture.name, _K, architecture.shape[0])
    return sum(not k.endswith(_COUNTER) for k in names)


def _torchvision_candidates(state: Mapping[str, Tensor], arch_hint: str) -> Iterator[Architecture]:
    """Those whose published number of parameters is that of the file, after a change of K."""
    known = {a.name: a for a in list_torchvision_architectures()}
    if arch_hint in known:
        yield known[arch_hint]
    parameters = {k: t for k, t in state.items() if _is_parameter(k)}
    counts = set(_counts_at_1000(parameters, sum(t.numel() for t in parameters.values())))
    for name, architecture in known.items():
        aux = name in ("googlenet", "inception_v3") and _has_inception_blocks(name, state)
        if name != arch_hint and (aux or _published_counts(name) & counts):
            yield architecture


@lru_cache(maxsize=256)
def _published_counts(name: str) -> frozenset[int]:
    from torchvision import models

    base = re.sub(r"_(384|512|518)$", "", name) if name.startswith("vit_") else name
    return frozenset(w.meta["num_params"] for w in models.get_model_weights(base))


def _is_parameter(key: str) -> bool:
    last = key.rpartition(".")[2]
    tables = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index")
    return last not in (*tables, "relative_coords_table")


def _has_inception_blocks(name: str, state: Mapping[str, Tensor]) -> bool:
    return any(k.startswith("inception3a" if name == "googlenet" else "Mixed_5b") for k in state)


def _counts_at_1000(parameters: Mapping[str, Tensor], count: int) -> Iterator[int]:
    """The number of parameters with 1000 classes, for each layer that may be the last."""
    yield count
    for key, tensor in parameters.items():
        if key.endswith("weight") and tensor.ndim in (2, 4) and tensor.numel():
            classes, bias = len(tensor), parameters.get(f"{key.removesuffix('weight')}bias")
            per_class = tensor.numel() // classes + (bias is not None)
            yield count + (1000 - classes) * per_class


def compare(state: Mapping[str, Tensor], architecture: Architecture) -> Comparison:
    """Compare weights with an architecture, under other names for the same function as well.

    Weights that do not fit are no error here; the result says what differs.
    """
    best = _compare(dict(state), architecture.name, ())
    for pattern, renames in _ALIASES:
        if not best.fits and re.fullmatch(pattern, architecture.name):
            renamed = dict(state)
            for old, new in renames:
                renamed = {re.sub(old, new, key): value for key, value in renamed.items()}
            if len(renamed) == len(state) and set(renamed) != set(state):
                other = _compare(renamed, architecture.name, ("weights were renamed",))
                best = other if other.distance < best.distance else best
    return best


def _compare(state: dict[str, Tensor], name: str, notes: tuple[str, ...]) -> Comparison:
    sizes = signature(name)
    if name in ("googlenet", "inception_v3") and any(_AUX_HEADS.match(k) for k in state):
        state = {k: v for k, v in state.items() if not _AUX_HEADS.match(k)}
        notes = (*notes, "auxiliary heads, which serve training only, were left out")
    counters = {k for k in sizes if k.endswith(_COUNTER) and k not in state}
    if counters:  # torch before 0.4.1 had none, and eval mode does not use them
        state = {**state, **{key: torch.tensor(0) for key in counters}}
    classes: int | None = None
    channels: int | None = None
    for key, dims in sizes.items():
        tensor = state.get(key)
        if tensor is None or tensor.ndim != len(dims):
            continue
        for size, dim in zip(dims, tensor.shape, strict=True):
            if size.per_class and classes is None:
                classes = _solve(dim, size.base, size.per_class)
            if size.per_channel and channels is None:
                channels = _solve(dim, size.base, size.per_channel)
    fixed_channels = not any(s.per_channel for dims in sizes.values() for s in dims)
    if fixed_channels:
        channels = get_architecture(name).shape[0]
    reshaped = []
    for key, dims in sizes.items():
        wanted = [
            s.base + s.per_class * (classes or 0) + s.per_channel * (channels or 0) for s in dims
        ]
        if key in state and list(state[key].shape) != wanted:
            reshaped.append(f"{key} is {list(state[key].shape)}, should be {wanted}")
    return Comparison(
        state,
        classes,
        channels,
        tuple(k for k in sizes if k not in state),
        tuple(k for k in state if k not in sizes),
        tuple(reshaped),
        notes,
    )


def _solve(dim: int, base: int, factor: int) -> int | None:
    value, rest = divmod(dim - base, factor)
    return value if rest == 0 and value >= 1 else None


@lru_cache(maxsize=128)
def signature(name: str) -> dict[str, tuple[_Size, ...]]:
    """For each weight of an architecture its shape, with K and C as unknowns.

    Raises:
        UnknownNameError: if there is no such architecture.
    """
    architecture = get_architecture(name)
    channels = architecture.shape[0]
    first = _shapes(name, _K, channels)
    more_classes = _shapes(name, _K + 1, channels)
    try:
        more_channels = _shapes(name, _K, channels + 1)
    except InvalidParameterError:  # torchvision's take three
        more_channels = first
    result = {}
    for key, shape in first.items():
        dims = []
        for a, k, c in zip(shape, more_classes[key], more_channels[key], strict=True):
            dims.append(_Size(a - (k - a) * _K - (c - a) * channels, k - a, c - a))
        result[key] = tuple(dims)
    return result


@lru_cache(maxsize=256)
def _shapes(name: str, classes: int, channels: int) -> dict[str, tuple[int, ...]]:
    with _WithoutMemory():
        network = get_architecture(name).build(classes, channels)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def fit(raw: RawCheckpoint, name: str) -> tuple[Recognition, Comparison]:
    """Fit the weights to the architecture that was asked for.

    ``cifar_resnet110`` for a file with projection shortcuts selects ``cifar_resnet110_projection``,
    since published files call both by the same name.

    Raises:
        UnknownNameError: if there is no such architecture.
        CheckpointError: if they do not fit, with what differs.
    """
    architecture = get_architecture(name)
    comparison = compare(raw.state, architecture)
    notes = comparison.notes
    if not comparison.fits and re.fullmatch(r"cifar_resnet\d{2,3}", name) and name[-2:] != "18":
        other = get_architecture(f"{name}_projection")
        if (projected := compare(raw.state, other)).fits:
            notes = (*projected.notes, f"its shortcuts are projections, so this is {other.name}")
            architecture, comparison = other, projected
    classes, channels = comparison.num_classes, comparison.in_channels
    if not comparison.fits or classes is None or channels is None:
        raise CheckpointError(_explanation(raw, name, comparison))
    shape = (channels, *architecture.shape[1:])
    return Recognition(architecture.name, classes, channels, shape, notes), comparison


def _explanation(raw: RawCheckpoint, name: str, comparison: Comparison) -> str:
    parts = [
        _examples(comparison.missing, "missing"),
        _examples(comparison.unexpected, "not part of that network"),
        _examples(comparison.reshaped, "of another shape"),
    ]
    alternatives = [r.architecture for r in recognise(raw)]
    hint = (
        f"They look like {' or '.join(alternatives[:3])}."
        if alternatives
        else "They fit none of the architectures that are known here."
    )
    details = "; ".join(part for part in parts if part)
    return f"The weights in {raw.name} are not those of {name}: {details}. {hint}"


def _examples(items: tuple[str, ...], what: str) -> str:
    if not items:
        return ""
    shown = "; ".join(items[:_MAX_EXAMPLES]) if " is [" in items[0] else ", ".join(items[:3])
    more = ", ..." if len(items) > _MAX_EXAMPLES else ""
    return f"{len(items)} {what} ({shown}{more})"
