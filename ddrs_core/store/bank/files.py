"""A bank as one file: a zip of a header, one line of JSON for each ball, and their pixels.

Nothing in a file is trusted: reading it proves each certificate by its votes and settles the
entries again, in their order.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Row

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import DDRSError, InvalidParameterError, require_count
from ddrs_core.file_access import open_regular
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.memory.directed_rounding import add_upward
from ddrs_core.store.bank.budget import AlphaBudget
from ddrs_core.store.bank.certificates import find_unproved, read_certificate
from ddrs_core.store.bank.images import BYTES, FLOATS, Pixels, raw_pixels, read_images, unpack_image
from ddrs_core.store.bank.records import ABSTAINED, BankKind, BankRecord, check_name
from ddrs_core.store.bank.rows import BankStore, new_bank, open_banks
from ddrs_core.store.bank.settle import BankTransaction, NoBalls
from ddrs_core.store.errors import StoreError

FORMAT = "ddrs memory bank"
VERSION = 1
HEADER, ENTRIES, IMAGES = "bank.json", "balls.jsonl", "images.bin"
MAX_BYTES = 2 * 2**30  # of what the file holds, uncompressed
_LONGEST_HEADER = 16 * 2**20
_LONGEST_ENTRY = 2 * 2**20
_MOST_COUNT = 10**9
_TOGETHER = 256  # images made ready together
_KINDS = {"uint8": (BYTES, 1), "float32": (FLOATS, 4)}


class BankFileError(StoreError):
    """A file is not a bank file, or is damaged."""


@dataclass(frozen=True)
class ImportedBank:
    """What was made of a file."""

    bank: BankRecord
    balls: int
    differing: int  # balls that were settled otherwise than the file says


def export_bank(store: BankStore, connection: Connection, bank_id: str, path: Path) -> BankRecord:
    """Write a bank to a file, which is replaced once the new one is complete.

    Raises:
        UnknownEntryError: if the bank does not exist.
        StoreError: if a stored image is damaged.
    """
    bank = store.bank(bank_id)
    with (
        replacing(path, StoreError) as unfinished,
        unfinished.open("xb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        with archive.open(ENTRIES, "w", force_zip64=True) as lines:
            alpha = 0.0
            for page in store.pages(connection, bank):
                for row in page:
                    lines.write(_entry(row).encode() + b"\n")
                    alpha += row.alpha
        with archive.open(IMAGES, "w", force_zip64=True) as images:
            for page in store.pages(connection, bank):
                for row in page:
                    images.write(_raw(row, bank))
        archive.writestr(HEADER, json.dumps(_header_of(bank, alpha), indent=2))
    return bank


def _header_of(bank: BankRecord, alpha: float) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": bank.name,
        **asdict(bank.kind),
        "budget": bank.budget.to_dict(),
        "balls": bank.stored,
        "fingerprint": bank.fingerprint,
        # Alpha of abstentions, which have no ball, and of what was charged and not settled.
        "abstained": {"count": bank.tallies[ABSTAINED], "alpha": max(0.0, bank.alpha_sum - alpha)},
        "tried": bank.tried,
    }


def _entry(row: Row[Any]) -> str:
    data = {
        "outcome": row.outcome,
        "prediction": row.prediction,
        "radius": row.radius,
        "image": "uint8" if row.image[:1] == BYTES else "float32",
        "digest": row.digest,
        "certificate": json.loads(row.certificate),
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def _raw(row: Row[Any], bank: BankRecord) -> bytes:
    """The bytes of an image, uncompressed: the file compresses them."""
    pixels = unpack_image(row.image, bank.kind.shape)
    if row.image[:1] == BYTES:
        return (pixels * 255).round().astype("u1").tobytes()
    return pixels.astype("<f4").tobytes()


def import_bank(
    url: str | None, path: Path, name: str | None = None, *, owner: str = ""
) -> ImportedBank:
    """Make a new bank from a file of :meth:`MemoryBank.export`, settling its entries in order.

    Args:
        url: of the database; None: the usual one.
        path: of the file.
        name: of the new bank; None: as it was called.
        owner: of the new bank.

    Raises:
        BankFileError: if it is not a bank file, damaged, too large or of a newer version.
        StoreError: if the owner has a bank of that name already.
    """
    store = open_banks(url)
    if name is not None and store.named(check_name(name), owner) is not None:
        raise StoreError(f"There is a memory bank called {name!r} already: choose another name.")
    imported, settling = read_bank_file(path, name, owner)
    bank = imported.bank
    with store.writing() as connection:
        store.insert_bank(connection, bank)
        store.save(connection, settling)
    return replace(imported, bank=store.bank(bank.id))


def read_bank_file(
    path: Path, name: str | None, owner: str
) -> tuple[ImportedBank, BankTransaction]:
    """Settle the entries of a file for a new bank, which is not stored yet.

    Raises:
        BankFileError: if it is not a bank file, damaged, too large or of a newer version.
    """
    try:
        with open_regular(path, BankFileError) as file, zipfile.ZipFile(file) as archive:
            _check_members(archive)
            header = _header(archive)
            bank = _bank(header, name, owner)
            settling, differing = _settle(archive, bank)
            _count_abstentions(settling, header)
    except OSError as error:
        raise BankFileError(f"{path.name[:80]} cannot be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise BankFileError(f"{path.name[:80]} is damaged, or is not a bank file.") from None
    except _FormatError as error:
        raise BankFileError(f"{path.name[:80]} is not a sound bank file: {error}.") from None
    return ImportedBank(bank, len(settling.rows), differing), settling


class _FormatError(Exception):
    """Something is not as it has to be."""


def _check_members(archive: zipfile.ZipFile) -> None:
    names = sorted(info.filename for info in archive.infolist())
    if names != sorted((HEADER, ENTRIES, IMAGES)):
        shown = ", ".join(name[:40] for name in names[:5])
        raise _FormatError(f"it holds {shown or 'nothing'} instead of a bank")
    size = sum(info.file_size for info in archive.infolist())
    if size > MAX_BYTES or archive.getinfo(HEADER).file_size > _LONGEST_HEADER:
        raise _FormatError(f"it holds {size / 1e9:.1f} GB, more than banks may")


def _header(archive: zipfile.ZipFile) -> dict[str, Any]:
    with archive.open(HEADER) as file:
        header = _json(file.read(_LONGEST_HEADER), "header")
    if header.get("format") != FORMAT:
        raise _FormatError("its header is not that of a bank")
    version = header.get("version")
    if isinstance(version, int) and version > VERSION:
        raise BankFileError(
            f"This file was written by a newer version of the program (format {version}, this one "
            f"knows {VERSION}). Update the program."
        )
    if version != VERSION:
        raise _FormatError("its format has no version that is known")
    return header


def _bank(header: dict[str, Any], name: str | None, owner: str) -> BankRecord:
    try:
        kind = BankKind(
            _of(header, "model", str),
            _of(header, "num_classes", int),
            tuple(_of(header, "shape", list)),
            tuple(_of(header, "class_names", list)),
            _of(header, "pixels", str),
        )
        if not all(isinstance(word, str) for word in kind.class_names):
            raise _FormatError("its class names are not text")
        budget = AlphaBudget.from_dict(_of(header, "budget", dict))
        return new_bank(name if name is not None else _of(header, "name", str), owner, kind, budget)
    except DDRSError as error:
        raise _FormatError(str(error).rstrip(".")) from None


def _settle(archive: zipfile.ZipFile, bank: BankRecord) -> tuple[BankTransaction, int]:
    settling, differing, number = BankTransaction(bank, NoBalls()), 0, 0
    with archive.open(ENTRIES) as lines, archive.open(IMAGES) as images:
        entries = _entries(lines, images, bank.kind.shape)
        while together := list(islice(entries, _TOGETHER)):
            try:
                ready = read_images([pixels for _, _, pixels in together], bank.kind.shape)
                unproved = find_unproved([c for _, c, _ in together], bank.kind)
                for image, problem, (data, certificate, _) in zip(
                    ready, unproved, together, strict=True
                ):
                    number += 1
                    if data.get("digest") != image.digest:
                        raise _FormatError(f"the image of ball {number} does not match its digest")
                    found = settling.settle(image, certificate)
                    if problem:  # nothing is stored yet, and nothing of this file will be
                        raise _FormatError(
                            f"the certificate of ball {number} is not proved by its own votes: "
                            f"{problem}"
                        )
                    same = (found.outcome, found.prediction, found.radius) == (
                        data.get("outcome"),
                        data.get("prediction"),
                        data.get("radius"),
                    )
                    differing += not same
            except DDRSError as error:
                raise _FormatError(f"at ball {max(number, 1)}, {error}".rstrip(".")) from None
        if images.read(1):
            raise _FormatError("it holds more images than balls")
    return settling, differing


def _entries(
    lines: IO[bytes], images: IO[bytes], shape: tuple[int, ...]
) -> Iterator[tuple[dict[str, Any], Certificate, Pixels]]:
    pixels, number = math.prod(shape), 0
    while line := lines.readline(_LONGEST_ENTRY):
        number += 1
        if not line.endswith(b"\n"):
            raise _FormatError(f"the line of ball {number} is cut off or far too long")
        data = _json(line, f"line of ball {number}")
        kind, width = _KINDS.get(str(data.get("image")), (b"", 0))
        raw = images.read(pixels * width)
        if not width or len(raw) < pixels * width:
            raise _FormatError(f"the image of ball {number} is missing")
        try:
            certificate = read_certificate(data.get("certificate"))
        except InvalidParameterError as error:
            raise _FormatError(f"the certificate of ball {number} {error}") from None
        yield data, certificate, raw_pixels(raw, kind, shape)


def _count_abstentions(settling: BankTransaction, header: dict[str, Any]) -> None:
    """Add the alpha of abstentions and of certificates that were not settled; they have no ball."""
    data = _of(header, "abstained", dict)
    count, alpha = _of(data, "count", int), data.get("alpha")
    tried = _of({"tried": 0, **header}, "tried", int)  # older files do not have it
    try:
        require_count("The number of abstentions", count, at_least=0, at_most=_MOST_COUNT)
        require_count("The number of attempts", tried, at_least=0, at_most=_MOST_COUNT)
    except InvalidParameterError as error:
        raise _FormatError(str(error).rstrip(".")) from None
    if type(alpha) not in (int, float) or not 0 <= alpha <= count + tried + 1e-9:
        raise _FormatError("its abstentions spent an alpha that cannot be")
    bank = settling.bank
    settling.bank = replace(
        bank,
        settled=bank.settled + count,
        tried=tried,
        alpha_sum=add_upward(bank.alpha_sum, float(alpha)),
        tallies={**bank.tallies, ABSTAINED: count},
    )


def _json(text: bytes, what: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _FormatError(f"its {what} cannot be read") from None
    if not isinstance(data, dict):
        raise _FormatError(f"its {what} is not what it should be")
    return data


def _of(data: dict[str, Any], name: str, kind: type) -> Any:
    value = data.get(name)
    if type(value) is not kind:
        raise _FormatError(f"its header lacks {name}")
    return value
