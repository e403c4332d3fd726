"""``datasets``: what is available, and how to get more."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import (
    add_command,
    add_json,
    add_json_below,
    add_quiet,
    answer,
    print_json,
)
from ddrs_core.cli.progress import show_download

if TYPE_CHECKING:
    from ddrs_core.data import DatasetInfo


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "datasets", "list the data sets, download, add or remove one")
    add_json(parser)
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")

    download = add_command(actions, "download", "fetch a data set")
    download.add_argument("name", metavar="NAME", help="such as cifar10")
    add_json_below(download)
    add_quiet(download)
    download.set_defaults(run=_download)

    adding = add_command(actions, "add", "register your own files as a data set")
    adding.add_argument(
        "path",
        metavar="PATH",
        type=Path,
        help="parquet file, folder of parquet files, or folder with a folder for each class",
    )
    adding.add_argument("--name", metavar="N", help="default: from the path")
    adding.add_argument("--title", metavar="T", help="default: from the path")
    adding.add_argument("--size", type=int, metavar="S", help="photographs at S x S pixels")
    add_json_below(adding)
    adding.set_defaults(run=_add)

    removing = add_command(actions, "remove", "forget an added data set; its files stay")
    removing.add_argument("name", metavar="NAME")
    add_json_below(removing)
    removing.set_defaults(run=_remove)

    showing = add_command(actions, "show", "show what a data set holds")
    showing.add_argument("name", metavar="NAME")
    add_json_below(showing)
    showing.set_defaults(run=_show)


def _list(options: argparse.Namespace) -> None:
    from ddrs_core.data import list_datasets, list_downloads

    infos = list_datasets()
    if options.json:
        print_json([_as_dict(info) for info in infos])
        return
    for info in infos:
        print(f"{info.name:<16} {_size(info)}, {_classes(info)}. {info.description}")
    for info in list_downloads():
        print(
            f"\nNot here yet: {info.name}, {_size(info)}, {_classes(info)}. {info.description}\n"
            f"  python -m ddrs_core datasets download {info.name}"
        )


def _download(options: argparse.Namespace) -> None:
    from ddrs_core.data import download_dataset, get_dataset_info

    show_download(options, download_dataset(options.name))
    info = get_dataset_info(options.name)
    answer(options, _as_dict(info), f"{info.title} is in {info.origin}.")


def _add(options: argparse.Namespace) -> None:
    from ddrs_core.data import add_dataset

    info = add_dataset(options.path, name=options.name, title=options.title, size=options.size)
    text = f"Added {info.name}: {_size(info)}, {_classes(info)}. {info.description}"
    answer(options, _as_dict(info), text)


def _remove(options: argparse.Namespace) -> None:
    from ddrs_core.data import remove_dataset

    remove_dataset(options.name)
    text = f"Removed {options.name}; its files stay where they are."
    answer(options, {"removed": options.name}, text)


def _show(options: argparse.Namespace) -> None:
    from ddrs_core.data import get_dataset_info, load_dataset

    info = get_dataset_info(options.name)
    counts = {split: len(load_dataset(options.name, split)) for split in info.splits}
    rows = {
        "name": info.name,
        "title": info.title,
        "about": info.description,
        "images": ", ".join(f"{count:,} {split}" for split, count in counts.items()),
        "shape": f"{_size(info)}{' or any other' if info.resizable else ''}",
        "classes": f"{info.num_classes}: {', '.join(info.class_names)}"
        if info.class_names
        else "unknown",
        "from": info.origin,
    }
    text = "\n".join(f"{label:<8} {value}" for label, value in rows.items())
    answer(options, {**_as_dict(info), "counts": counts}, text)


def _as_dict(info: DatasetInfo) -> dict[str, Any]:
    return {**asdict(info), "num_classes": info.num_classes}


def _classes(info: DatasetInfo) -> str:
    return f"{info.num_classes} classes" if info.num_classes else "classes unknown"


def _size(info: DatasetInfo) -> str:
    return " x ".join(str(v) for v in info.shape)
