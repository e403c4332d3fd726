"""The memory bank: certified balls that are settled against each other as they come.

Alfarra et al. (UAI 2022), Algorithm 2. From the moment an image is stored, the memory-enhanced
classifier answers its class on its whole ball, because no two stored balls of different class
overlap; looking, settling and storing are one transaction, also with concurrent writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.quantities import counted
from ddrs_core.smoothing import ABSTAIN, Certificate
from ddrs_core.smoothing.memory.rules import Settlement, settle
from ddrs_core.store.bank.attempts import Attempt, settle_attempt
from ddrs_core.store.bank.budget import AlphaBudget, BankConfidence
from ddrs_core.store.bank.check import BankCheck, check_bank
from ddrs_core.store.bank.files import export_bank
from ddrs_core.store.bank.images import BankImage, Pixels, read_images
from ddrs_core.store.bank.lookup import BallsInDatabase, index_of
from ddrs_core.store.bank.records import (
    BankKind,
    BankRecord,
    Lookup,
    StoredBall,
    check_certificate,
    settled_certificate,
)
from ddrs_core.store.bank.rows import BankStore, new_bank, open_banks
from ddrs_core.store.bank.settle import BankTransaction


class MemoryBank:
    """A bank of certified balls in the database; see :meth:`open` and :meth:`find`.

    Only an index of the balls is held in memory, so every process sees the same. Threads may share
    a bank.
    """

    def __init__(self, store: BankStore, record: BankRecord) -> None:
        self._store = store
        self.id, self.name, self.owner = record.id, record.name, record.owner
        self.kind, self.budget = record.kind, record.budget

    @classmethod
    def open(
        cls,
        url: str | None,
        name: str,
        *,
        model: str,
        num_classes: int,
        shape: Sequence[int],
        owner: str = "",
        class_names: Sequence[str] = (),
        budget: AlphaBudget | None = None,
    ) -> MemoryBank:
        """Open a bank, and create it when there is none of that name.

        Args:
            url: of the database; None: the usual one.
            name: of the bank, for its owner.
            model: digest of the weights of the model whose certificates it holds.
            num_classes: of the model.
            shape: of the images, such as (1, 8, 8).
            owner: whose bank it is.
            class_names: of the model; empty: not known.
            budget: how much alpha certificates may spend; None: as the bank has it, a new
                one takes any.

        Raises:
            MismatchError: if the bank of that name belongs to another model, or to other images,
                classes or another budget.
            InvalidParameterError: if a name or number makes no sense.
            StoreError: if the database cannot be used.
        """
        kind = BankKind(model, num_classes, tuple(shape), tuple(class_names)).check()
        store = open_banks(url)
        wanted = new_bank(name, owner, kind, budget or AlphaBudget())
        found = store.named(name, owner) or store.create(wanted)
        found.kind.require(kind, name)
        if budget is not None and found.budget != budget:
            raise MismatchError(
                f"The memory bank {name!r} has another alpha budget ({found.budget.kind}), which "
                "was chosen when it was made. Choose another name for a new bank."
            )
        return cls(store, found)

    @classmethod
    def find(cls, url: str | None, name_or_id: str, *, owner: str | None = None) -> MemoryBank:
        """Open a bank that is there, by its id or its name.

        Raises:
            UnknownEntryError: if there is none.
            InvalidParameterError: if several owners have banks of that name.
        """
        store = open_banks(url)
        return cls(store, store.find(name_or_id, owner))

    def record(self) -> BankRecord:
        """The bank as it stands, with its statistics.

        Raises:
            UnknownEntryError: if it was deleted; so do all other methods.
        """
        return self._store.bank(self.id)

    def confidence(self) -> BankConfidence:
        """Sum of alphas, expected number of wrong balls, and what the next one may spend."""
        return self.record().confidence

    def settle(self, x: Any, certificate: Certificate) -> Settlement:
        """Settle the certificate of an image and store the result, in one transaction.

        Args:
            x: image [C, H, W], float32 pixels in [0, 1]; a tensor or an array.
            certificate: of this bank's model; an abstention is one, too.

        Returns:
            The settlement; its certificate holds for queries after x. An abstention that no ball
            rescues is counted, and nothing is stored.

        Raises:
            MismatchError: if model, shape or scale are not the bank's; as all refusals, this one
                leaves the bank as it was.
            InvalidParameterError: if a number makes no sense, or too much alpha was spent.
            UnavailableError: if the database is busy, full or out of reach.

        >>> import tempfile, torch
        >>> from ddrs_core.smoothing import SmoothedClassifier
        >>> url = f"sqlite:///{tempfile.mkdtemp()}/banks.sqlite3"
        >>> f = lambda x: torch.stack([2 - x.sum((1, 2, 3)), x.sum((1, 2, 3)) - 2], dim=1)
        >>> x = torch.full((1, 2, 2), 0.75)
        >>> certificate = SmoothedClassifier(f, num_classes=2).certify(x, sigma=0.25, n=1_000)
        >>> bank = MemoryBank.open(
        ...     url, "mine", model=certificate.model, num_classes=2, shape=(1, 2, 2)
        ... )
        >>> settlement = bank.settle(x, certificate)
        >>> settlement.outcome.value, settlement.prediction, settlement.certificate.grade.value
        ('untouched', 1, 'for queries after x')
        """
        (settlement,) = self.settle_many([x], [certificate])
        return settlement

    def settle_many(
        self,
        images: Sequence[Any],
        certificates: Sequence[Certificate],
        *,
        attempt: str | None = None,
    ) -> list[Settlement]:
        """The same for images [C, H, W] and their certificates, in order and in one transaction.

        Args:
            attempt: key under which :meth:`charge` has charged the certificates.

        Raises:
            AlreadyStoredError: if the certificates of that attempt have been settled already.
        """
        with self.transaction() as connection:
            return self.settle_within(connection, images, certificates, attempt=attempt)

    def charge(self, key: str, alpha: float, *, count: int = 1) -> Attempt:
        """Charge certificates to the bank before their votes are drawn; they stay charged.

        A certificate that is stored or not depending on its result must be charged first: then
        the bank's alphas bound what is stored, whatever was selected.

        Args:
            key: of all that determines the votes; the same one is charged once.
            alpha: of each certificate.
            count: how many certificates.

        Raises:
            InvalidParameterError: if the bank's budget does not allow it.
        """
        return self._store.charge(self.id, Attempt(key, alpha, count))

    def attempt(self, key: str) -> Attempt | None:
        """What has been charged under a key."""
        return self._store.attempt(self.id, key)

    def settle_within(
        self,
        connection: Connection,
        images: Sequence[Any],
        certificates: Sequence[Certificate],
        *,
        attempt: str | None = None,
    ) -> list[Settlement]:
        """The same as part of a larger transaction, such as one that stores a run's certificates.

        The bank is locked until that ends; lock it before anything else that others may lock.

        Args:
            connection: from :meth:`transaction`, of this database.
            images, certificates, attempt: as for :meth:`settle_many`.
        """
        ready = self._read(images, certificates)
        bank, now = self._store.held(connection, self.id)
        if attempt is not None:
            settle_attempt(connection, bank.id, attempt, certificates)
        stored = BallsInDatabase(connection, bank.id, bank.kind.shape, bank.fingerprint)
        settling = BankTransaction(bank, stored, now, charged=attempt is not None)
        found = [settling.settle(x, c) for x, c in zip(ready, certificates, strict=True)]
        self._store.save(connection, settling)
        return found

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of the bank's database that may write: all of it is stored, or nothing."""
        with self._store.writing() as connection:
            yield connection

    def lookup(self, x: Any, certificate: Certificate | None = None) -> Lookup:
        """Where an image lies and what the bank answers there; nothing is stored or spent.

        Args:
            x: image [C, H, W].
            certificate: of the image; None: what do the stored balls prove on their own?

        Raises:
            MismatchError: if model, shape or scale are not the bank's.
            InvalidParameterError: if a number makes no sense.
        """
        (found,) = self.lookup_many([x], None if certificate is None else [certificate])
        return found

    def lookup_many(
        self, images: Sequence[Any], certificates: Sequence[Certificate] | None = None
    ) -> list[Lookup]:
        """The same for many, each on its own."""
        ready = self._read(images, certificates)
        return [
            self._looked_up(image, None if certificates is None else certificates[i])
            for i, image in enumerate(ready)
        ]

    def balls(self, *, after: int = 0, limit: int | None = None) -> list[StoredBall]:
        """Stored balls in the order of their arrival, those after serial ``after``."""
        return self._store.stored_balls(self.id, after, limit)

    def image(self, serial: int) -> Pixels:
        """The image [C, H, W] at the centre of a stored ball, exactly."""
        return self._store.image(self.id, serial, self.kind.shape)

    def check(self) -> BankCheck:
        """Prove from the stored images that no two balls of different class overlap, and that
        the votes of each certificate prove what it claims."""
        with self._store.reading() as connection:
            return check_bank(self._store, connection, self.id)

    @property
    def index_bytes(self) -> int:
        """Memory that this process uses to look things up in the bank."""
        return index_of(self._store.engine, self.id, self.kind.shape).nbytes

    def copy(self, name: str, *, owner: str = "") -> MemoryBank:
        """A copy, which is independent from then on.

        Raises:
            StoreError: if the owner has a bank of that name already.
        """
        return MemoryBank(self._store, self._store.copy(self.id, name, owner))

    def delete(self) -> None:
        """Remove the bank and its balls."""
        self._store.delete(self.id)

    def export(self, path: Path) -> BankRecord:
        """Write the bank to a file, for :func:`import_bank`; returns it as it was written."""
        with self._store.reading() as connection:
            return export_bank(self._store, connection, self.id, path)

    def _read(
        self, images: Sequence[Any], certificates: Sequence[Certificate] | None
    ) -> list[BankImage]:
        if certificates is not None:
            if len(images) != len(certificates):
                raise InvalidParameterError(
                    f"Each image needs a certificate: there are {counted(len(images), 'image')} "
                    f"and {counted(len(certificates), 'certificate')}."
                )
            for certificate in certificates:
                check_certificate(certificate, self.kind)
        return read_images(images, self.kind.shape)

    def _looked_up(self, image: BankImage, certificate: Certificate | None) -> Lookup:
        radius = 0.0 if certificate is None else float(certificate.radius)
        with self._store.reading() as connection:
            stored = BallsInDatabase(connection, self.id, self.kind.shape)
            near = stored.near(image, radius)
            inside = settlement = settle(ABSTAIN, 0.0, near)
            alpha = 0.0
            if certificate is not None:
                settlement = settle(int(certificate.prediction), radius, near)
                alpha = certificate.alpha
            if settlement.by is not None:
                alpha += stored.alpha(settlement.by.id)
        if certificate is not None:
            graded = settled_certificate(certificate, settlement)
            settlement = replace(settlement, certificate=graded)
        containing = sorted(inside.parts, key=lambda part: (part.slack, part.ball.id))
        return Lookup(tuple(containing), replace(settlement, alpha=alpha), len(near))
