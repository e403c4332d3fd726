"""Which model accepts which images, and whose class names they then have."""

from __future__ import annotations

from ddrs_core.data import (
    Dataset,
    DatasetInfo,
    get_dataset_info,
    list_datasets,
    list_downloads,
    load_dataset,
)
from ddrs_core.data.class_matching import match_classes
from ddrs_core.errors import MismatchError
from ddrs_core.models.classifier import ModelCard


def class_names(card: ModelCard) -> tuple[str, ...]:
    """What the model's classes are called: as in the data set that it was trained on where that
    is known, else "class 0", "class 1", ..."""
    if card.num_classes == 1000 and card.dataset in ("imagenet", "unknown"):
        from ddrs_core.models.torchvision_weights import list_published

        return list_published()[0].categories
    for info in [*list_datasets(), *list_downloads()]:  # a model knows its classes without images
        if info.name == card.dataset and info.num_classes == card.num_classes:
            return info.class_names
    return tuple(f"class {i}" for i in range(card.num_classes))


def open_for_model(dataset: str, card: ModelCard, split: str = "test") -> Dataset:
    """The images of a data set as a model takes them: photographs at the model's size, labels
    among the model's classes (-1 where it does not know the class).

    Raises:
        DDRSError: if there is no such data set or split.
        MismatchError: if the images have another shape than the model accepts.
    """
    info = get_dataset_info(dataset)
    check_shape(card, info)
    opened = load_dataset(dataset, split, card.shape if info.resizable else None)
    if info.num_classes == card.num_classes:
        return opened
    return opened.for_classes(class_names(card))


def accepts(card: ModelCard, dataset: DatasetInfo) -> bool:
    """Whether a model accepts the images of a data set, whatever their classes are."""
    return dataset.resizable or tuple(card.shape) == tuple(dataset.shape)


def check_shape(card: ModelCard, dataset: DatasetInfo) -> None:
    """Make sure that a model accepts the images of a data set, whatever their classes are.

    Raises:
        MismatchError: if it accepts images of another shape.
    """
    if not accepts(card, dataset):
        raise MismatchError(
            f"Model {card.name!r} takes images of {_size(card.shape)}, but {dataset.title} has "
            f"{_size(dataset.shape)}. Choose a model trained on {dataset.title}."
        )


def check_fit(card: ModelCard, dataset: DatasetInfo) -> None:
    """Make sure that a model accepts the images of a data set and can be judged by its labels.

    Raises:
        MismatchError: if shape or classes differ.
    """
    check_shape(card, dataset)
    if dataset.num_classes in (0, card.num_classes):
        return
    known = match_classes(dataset.class_names, class_names(card))
    unknown = [n for n, c in zip(dataset.class_names, known, strict=True) if c < 0]
    if unknown:
        raise MismatchError(
            f"Model {card.name!r} knows {card.num_classes} classes, but {dataset.title} has "
            f"{dataset.num_classes}, among them {unknown[0][:40]!r}, which the model does not "
            f"know. Choose a model trained on {dataset.title}."
        )


def _size(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{channels} x {height} x {width} values"
