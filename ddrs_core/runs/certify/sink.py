"""How the certificates of a recorded run are stored: as they are, or settled against a bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ddrs_core.data import DatasetInfo
from ddrs_core.errors import MismatchError
from ddrs_core.models import ModelCard, get_card
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import CertifyConfig, open_plan
from ddrs_core.smoothing import Certificate, Grade
from ddrs_core.store import MemoryBank, RunRecord, Store, UnknownEntryError

Keeper = Callable[[int, int, Certificate], None]  # setting, position, certificate


def certificate_sink(
    store: Store, record: RunRecord, config: CertifyConfig, setting: int, done: int
) -> Keeper:
    """What stores the certificates of one setting; with a bank, settlement and certificate are one
    transaction.

    Args:
        store: the database.
        record: the run.
        config: its setting.
        setting: the number of that.
        done: how many certificates of the setting are there already.

    Raises:
        MismatchError: if these rely on a bank that no longer exists, or the bank belongs to
            something else.
    """

    def keep(setting: int, position: int, certificate: Certificate) -> None:
        store.add_certificates(record.id, [(setting, position, certificate)])

    if not config.bank:
        return keep
    dataset, plan = open_plan(config)
    if done:
        bank = _same_bank(store, record, config, setting, done)
    else:
        bank = _open_bank(store, record, config, get_card(config.model), dataset.info)

    def settle(setting: int, position: int, certificate: Certificate) -> None:
        if certificate.failure:  # there is no image to settle
            keep(setting, position, certificate)
            return
        image = dataset[plan[position]][0]
        with bank.transaction() as connection:
            (settlement,) = bank.settle_within(connection, [image], [certificate])
            graded = replace(certificate, grade=Grade.FOR_QUERIES_AFTER)
            settled = settlement.certificate or graded
            store.add_certificate_within(connection, record.id, (setting, position), settled)
            store.note_bank_within(connection, record.id, setting, bank.id)

    return settle


def _open_bank(
    store: Store, record: RunRecord, config: CertifyConfig, card: ModelCard, info: DatasetInfo
) -> MemoryBank:
    names = info.class_names if len(info.class_names) == card.num_classes else ()
    return MemoryBank.open(
        store.url,
        config.bank,
        model=card.digest,
        num_classes=card.num_classes,
        shape=card.shape,
        owner=record.owner,
        class_names=names,
    )


def _same_bank(
    store: Store, record: RunRecord, config: CertifyConfig, setting: int, done: int
) -> MemoryBank:
    """The bank that a run has begun with: a new one of that name does not contain the balls that
    the run's answers rely on."""
    known = store.run_bank(record.id, setting)
    try:
        bank = MemoryBank.find(store.url, config.bank, owner=record.owner)
    except UnknownEntryError:
        bank = None
    called = f"The memory bank {config.bank!r} that this run has settled its certificates against"
    if bank is None or (known is None and bank.record().settled < done):
        raise MismatchError(
            f"{called} no longer exists, and another cannot replace it. Start a new run."
        )
    if known is None:  # an earlier version kept no more than the name
        return bank
    if bank.id != known.bank_id:
        raise MismatchError(
            f"{called} (id {known.bank_id}) no longer exists. The one of that name now (id "
            f"{bank.id}) does not contain the balls that the answers of this run rely on. Start a "
            "new run."
        )
    if not store.holds_still(known):
        raise MismatchError(
            f"{called} no longer holds its {counted(known.stored, 'ball')} as they were when this "
            "run stopped: it was replaced by an older copy, or changed by other means. `memory "
            "check` may say more. Start a new run."
        )
    return bank
