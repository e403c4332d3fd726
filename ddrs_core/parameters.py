"""Parameters of configurations: what the command line and the forms say about each field.

A field of a configuration dataclass is declared with :func:`parameter`: its default and its
description once. The command line makes its options of them, pages their widgets,
:class:`Configuration` checks their limits, and :func:`arguments` returns the options that give the
same values again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import Enum
from typing import Any, Self, TypeVar

from ddrs_core.errors import InvalidParameterError, require_count, require_number

Config = TypeVar("Config")

_KEY = "parameter"
_NESTED = "nested"
_KINDS: dict[str, type] = {"int": int, "float": float, "bool": bool}  # others are text


@dataclass(frozen=True)
class Parameter:
    """The description of one field.

    Attributes:
        meaning: a phrase that begins with a small letter, without a full stop.
        label: its name in forms; empty: made from the field's name.
        low: smallest value; None: any.
        high: largest value; None: any.
        above: a limit that the value must exceed; None: any.
        below: a limit that the value must stay below; None: any.
        step: of the arrows in forms.
        choices: the values that it may have; empty: any.
        flag: the option's name; empty: the field's name.
        brief: whether :func:`arguments` leaves the default out.
        parts: for a pair of numbers, the description of each by its name.
        kind: int, float, str or bool.
        many: whether it is a tuple of such values.
        default: the field's default; None where it must be given.
    """

    meaning: str
    label: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    flag: str = ""
    brief: bool = False
    parts: Mapping[str, Parameter] | None = None
    kind: type = str
    many: bool = False
    default: Any = None

    def check(self, value: Any) -> None:
        """Raises InvalidParameterError if the value is no number, or outside the limits."""
        if self.kind is int:
            require_count(self.label, value, at_least=self.low, at_most=self.high)
        elif self.kind is float:
            require_number(self.label, value, at_least=self.low, at_most=self.high)
            require_number(self.label, value, above=self.above, below=self.below)


class Configuration:
    """Base of the dataclasses whose fields describe their limits."""

    def check(self) -> Self:
        """Check every described field against its limits, and the configurations among the fields.

        Raises:
            InvalidParameterError: if a value makes no sense.
        """
        values = values_of(self)
        for name, about in parameters_of(self).items():
            for value in values[name] if about.many and values[name] else (values[name],):
                if value is not None:
                    about.check(value)
        for item in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value = getattr(self, item.name)
            if isinstance(value, Configuration):
                value.check()
            elif _KEY in item.metadata and item.metadata[_KEY].parts is not None:
                first, second = (part.label for part in item.metadata[_KEY].parts.values())
                if not value[0] < value[1]:
                    raise InvalidParameterError(
                        f"{first}, {value[0]:g}, must be below {second.lower()}, {value[1]:g}."
                    )
        return self


def parameter(default: Any, meaning: str, label: str = "", **details: Any) -> Any:
    """A dataclass field with a default and a description; see :class:`Parameter`."""
    return field(default=default, metadata=described(meaning, label, **details))


def described(meaning: str, label: str = "", **details: Any) -> dict[str, Parameter]:
    """The metadata of a dataclass field with a description; see :class:`Parameter`."""
    return {_KEY: Parameter(meaning, label, **details)}


def nested(config: type[Config]) -> Config:
    """A dataclass field that holds another configuration: its parameters stand among those of the
    configuration that it belongs to."""
    held: Config = field(default_factory=config, metadata={_NESTED: config})
    return held


def parameters_of(config: Any) -> dict[str, Parameter]:
    """The described fields of a configuration or its class, by name; pairs in their parts."""
    found: dict[str, Parameter] = {}
    for item in fields(config):
        if _NESTED in item.metadata:
            found |= parameters_of(item.metadata[_NESTED])
        about: Parameter | None = item.metadata.get(_KEY)
        if about is None:
            continue
        if about.parts is not None:
            found |= {name: replace(part, kind=float) for name, part in about.parts.items()}
            continue
        annotation = str(item.type).removesuffix(" | None")
        many = annotation.startswith("tuple[")
        kind = _KINDS.get(annotation.removeprefix("tuple[").removesuffix(", ...]"), str)
        label = about.label or item.name.replace("_", " ").capitalize()
        default = None if item.default is MISSING else item.default
        found[item.name] = replace(about, label=label, kind=kind, many=many, default=default)
    return found


def joined_parameters(configs: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of several configurations, by field; their meanings are joined, each after
    the key of the configuration that it belongs to, unless it is the same in all."""
    found: dict[str, dict[str, Parameter]] = {}
    for key, config in configs.items():
        for name, about in parameters_of(config).items():
            found.setdefault(name, {})[key] = about
    joined = {}
    for name, by_key in found.items():
        first = next(iter(by_key.values()))
        meanings: dict[str, list[str]] = {}
        for key, about in by_key.items():
            meanings.setdefault(about.meaning, []).append(key)
        everywhere = len(meanings) == 1 and len(by_key) == len(configs)
        text = "; ".join(f"{', '.join(keys)}: {meaning}" for meaning, keys in meanings.items())
        joined[name] = first if everywhere else replace(first, meaning=text)
    return joined


def values_of(config: Any) -> dict[str, Any]:
    """The values of the described fields, by name; pairs in their parts."""
    found: dict[str, Any] = {}
    for item in fields(config):
        about: Parameter | None = item.metadata.get(_KEY)
        value = getattr(config, item.name)
        if _NESTED in item.metadata:
            found |= values_of(value)
        elif about is not None and about.parts is not None:
            found |= zip(about.parts, value, strict=True)
        elif about is not None:
            found[item.name] = value
    return found


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values, named as by :func:`values_of`."""
    known = {**values_of(config), **values}
    changes = {}
    for item in fields(config):  # type: ignore[arg-type]
        parts = item.metadata[_KEY].parts if _KEY in item.metadata else None
        if _NESTED in item.metadata:
            held = getattr(config, item.name)
            own = {name: values[name] for name in values_of(held) if name in values}
            changes[item.name] = with_values(held, own)
        elif parts is not None:
            changes[item.name] = tuple(known[part] for part in parts)
        elif item.name in values:
            changes[item.name] = values[item.name]
    return replace(config, **changes)  # type: ignore[type-var]


def prefixed(name: str, prefix: str) -> str:
    """The name with a prefix, unless it begins with it."""
    return name if name.startswith(prefix) else prefix + name


def option(name: str) -> str:
    """The option of a field: ``batch_size`` is ``--batch-size``."""
    return f"--{name.replace('_', '-')}"


def arguments(config: Any, prefix: str = "", skip: Iterable[str] = ()) -> list[str]:
    """The options that give the values of a configuration.

    Args:
        config: the configuration.
        prefix: of the names of options, such as ``sigma_``.
        skip: fields to leave out.
    """
    values = values_of(config)
    argv: list[str] = []
    for name, about in parameters_of(config).items():
        value = values[name]
        if name in skip or value is None or value is False or value == "":
            continue
        if about.brief and value == about.default:
            continue
        named = option(about.flag or prefixed(name, prefix))
        if value is True:
            argv.append(named)
        elif about.many:
            argv += [named, *map(argument, value)]
        else:
            argv += with_argument(named, value)
    return argv


def with_argument(named: str, value: Any) -> list[str]:
    """An option and its value, which may look like an option itself."""
    text = argument(value)
    return [f"{named}={text}"] if text.startswith("-") else [named, text]


def argument(value: Any) -> str:
    """One value as it stands on a command line, with all digits of a number."""
    if isinstance(value, Enum):
        return str(value.value)
    return repr(float(value)) if isinstance(value, float) else str(value)
