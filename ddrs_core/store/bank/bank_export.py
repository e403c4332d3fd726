"""A bank as one file: a zip of a header, one line of JSON for each ball, and their pixels."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from ddrs_core.store.bank.images import BYTES, unpack_image
from ddrs_core.store.bank.records import ABSTAINED, BankRecord
from ddrs_core.store.bank.rows import BankStore

FORMAT = "ddrs memory bank"
VERSION = 1
HEADER, ENTRIES, IMAGES = "bank.json", "balls.jsonl", "images.bin"


def export_bank(store: BankStore, connection: Connection, bank_id: str, path: Path) -> BankRecord:
    """Write a bank to a file, which is replaced once the new one is complete.

    Raises:
        UnknownEntryError: if the bank is not there (any more).
        StoreError: if a stored image is damaged.
    """
    bank = store.bank(bank_id)
    # An ordinary file, so that the umask applies; nobody can ask for it without changing it.
    unfinished = path.with_name(f".bank-{secrets.token_hex(8)}")
    try:
        with (
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
            archive.writestr(HEADER, json.dumps(_header(bank, alpha), indent=2))
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return bank


def _header(bank: BankRecord, alpha: float) -> dict[str, Any]:
    abstained = bank.tallies[ABSTAINED]
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": bank.name,
        "model": bank.kind.model,
        "num_classes": bank.kind.num_classes,
        "class_names": list(bank.kind.class_names),
        "shape": list(bank.kind.shape),
        "pixels": bank.kind.pixels,
        "budget": bank.budget.to_dict(),
        "balls": bank.stored,
        "fingerprint": bank.fingerprint,
        # What the abstentions spent of which no ball tells, and what was charged and not settled.
        "abstained": {"count": abstained, "alpha": max(0.0, bank.alpha_sum - alpha)},
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
