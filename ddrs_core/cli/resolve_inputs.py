"""Data sets and models given by a path: a folder, a picture or a checkpoint of the user."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.errors import InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.models import Classifier, ModelCard, Proposal


def add_foreign_options(parser: Any) -> None:
    """What the checkpoint file of another program may not record."""
    parser.add_argument("--arch", metavar="A", help="architecture of a file; default: recognised")
    parser.add_argument(
        "--normalization",
        metavar="N",
        help="of a file: cifar, imagenet, none, ...; default: the one that gets most images right",
    )


def find_dataset(text: str) -> str:
    """The name of a data set; one that is given by its path is attached first.

    Raises:
        DDRSError: if the path holds no data set.
    """
    from ddrs_core.data import attach_dataset, list_datasets

    known = (info.name for info in list_datasets())
    return attach_dataset(text).name if _is_path(text, known) else text


def find_model(options: argparse.Namespace, dataset: str) -> str:
    """The name of the model that ``--model`` means; a file is read as the options say.

    A sentence on what the file is taken for goes to the standard error.

    Raises:
        DDRSError: if the file cannot be read, recognised or does not fit the data set.
    """
    from ddrs_core.models import attach_model, get_card, list_models, load_checkpoint

    path = Path(options.model)
    if not _is_path(options.model, (card.name for card in list_models())):
        if options.arch or options.normalization:
            raise InvalidParameterError(
                "--arch and --normalization belong to a checkpoint file; the card of "
                f"{get_card(options.model).name!r} contains both."
            )
        return str(options.model)
    if path.suffix == ".safetensors" and path.with_suffix(".json").is_file():
        return attach_model(load_checkpoint(path)).name
    proposal, classifier = import_model(path, options, dataset)
    card = attach_model(classifier)
    if not options.quiet:
        print(
            f"{path.name}: {proposal.raw.layout.value}, {card.architecture}, normalisation "
            f"{options.normalization or proposal.normalization!r}. {proposal.advice}",
            file=sys.stderr,
        )
    return card.name


def import_model(
    path: Path,
    options: argparse.Namespace,
    dataset: str | None = None,
    *,
    name: str | None = None,
    sigma: float | None = None,
    method: str | None = None,
) -> tuple[Proposal, Classifier]:
    """Read a checkpoint file as the options say.

    Without a name it is called after the file and its digest, since every second checkpoint is
    called ``checkpoint.pth.tar``.

    Raises:
        DDRSError: if it cannot be read, recognised or does not fit.
    """
    from ddrs_core.models import accept, propose, read_state, with_card

    proposal = propose(read_state(path), architecture=options.arch, dataset=dataset)
    classifier = accept(
        proposal, "file", normalization=options.normalization, sigma=sigma, method=method
    )
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.split(".")[0])[:60].strip("-._") or "model"
    return proposal, with_card(classifier, name=name or f"{stem}-{classifier.card.digest[:8]}")


def warn_of_noise(card: ModelCard, dataset: str, sigma: float) -> None:
    """Say on the standard error where the model is known not to bear the noise of ``sigma``.

    A model that was trained with noise may be certified below the level that it does not bear.
    """
    from ddrs_core.models import find_robustness

    found = find_robustness(card, dataset) or find_robustness(card, card.dataset)
    if found is None:
        return
    lost = found.collapses_at
    if card.trained_with_noise and lost is not None and sigma < lost:
        return
    if warning := found.explain(card.num_classes):
        print(f"warning: {warning}", file=sys.stderr)


def _is_path(text: str, known: Iterable[str]) -> bool:
    """Whether a path is meant: it looks like one, or exists and no name is the same."""
    from ddrs_core.data import EXTENSIONS

    path = Path(text)
    if any(sign in text for sign in ("/", "\\")):
        return True
    if path.suffix.lower() in (*_SUFFIXES, *EXTENSIONS):
        return True
    return path.exists() and text not in known


_SUFFIXES = (".pth", ".pt", ".tar", ".ckpt", ".bin", ".safetensors", ".parquet")
