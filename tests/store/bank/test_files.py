"""A bank goes into a file and comes back; files of others are refused, and nothing is lost."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddrs_core.store import (
    AlphaBudget,
    BudgetKind,
    MemoryBank,
    Store,
    StoreError,
    import_bank,
    list_banks,
)
from ddrs_core.store.bank import files as bank_import
from ddrs_core.store.bank.files import BankFileError
from tests.store.bank.banks import (
    MODEL,
    SHAPE,
    address,
    check_exactly,
    claim,
    new_bank,
    random_claims,
)
from tests.store.test_certificates import same

HEADER, ENTRIES, IMAGES = "bank.json", "balls.jsonl", "images.bin"


@pytest.fixture
def bank(store: Store) -> MemoryBank:
    bank = new_bank(store, class_names=("a", "b", "c", "d"), owner="ada")
    bank.settle_many(*zip(*random_claims(np.random.default_rng(0), 40), strict=True))
    return bank


@pytest.fixture
def path(bank: MemoryBank, tmp_path: Path) -> Path:
    bank.export(tmp_path / "bank.zip")
    return tmp_path / "bank.zip"


def test_a_bank_comes_back(store: Store, bank: MemoryBank, path: Path) -> None:
    imported = import_bank(address(store), path, owner="bob")
    assert imported.differing == 0
    record, before = imported.bank, bank.record()
    assert (record.name, record.owner, record.kind) == (before.name, "bob", before.kind)
    assert record.fingerprint == before.fingerprint
    assert (record.settled, record.stored, record.tallies) == (
        before.settled,
        before.stored,
        before.tallies,
    )
    assert record.alpha_sum == pytest.approx(before.alpha_sum)
    copy = MemoryBank.find(address(store), record.id)
    for a, b in zip(bank.balls(), copy.balls(), strict=True):
        assert same(a.certificate, b.certificate)
        assert (a.outcome, a.prediction, a.radius) == (b.outcome, b.prediction, b.radius)
        assert bank.image(a.serial).tobytes() == copy.image(b.serial).tobytes()
    assert copy.check().holds


def test_a_budget_comes_back(store: Store, tmp_path: Path) -> None:
    budget = AlphaBudget(BudgetKind.DECAYING, 0.05)
    bank = new_bank(store, budget=budget)
    for x, c in random_claims(np.random.default_rng(1), 12):
        allowed = bank.confidence().next_alpha
        assert allowed is not None
        bank.settle(x, type(c)(**{**c.__dict__, "alpha": allowed}))
    bank.export(tmp_path / "x.zip")
    record = import_bank(address(store), tmp_path / "x.zip", f"{bank.name} again").bank
    assert record.budget == budget
    assert record.confidence.next_alpha == bank.confidence().next_alpha


def test_an_empty_bank_comes_back(store: Store, tmp_path: Path) -> None:
    new_bank(store).export(tmp_path / "x.zip")
    imported = import_bank(address(store), tmp_path / "x.zip", owner="bob")
    assert (imported.balls, imported.bank.stored) == (0, 0)


def test_a_name_that_is_taken_is_not_taken_twice(
    store: Store, bank: MemoryBank, path: Path
) -> None:
    for name in (bank.name, None):
        with pytest.raises(StoreError, match="already"):
            import_bank(address(store), path, name, owner="ada")
    assert len([b for b in list_banks(address(store)) if b.name == bank.name]) == 1


def test_a_file_is_replaced_only_by_a_whole_one(
    bank: MemoryBank, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddrs_core.store.bank import files

    before = path.read_bytes()

    def fail(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "_raw", fail)
        with pytest.raises(KeyboardInterrupt):
            bank.export(path)
    assert path.read_bytes() == before
    assert list(path.parent.glob(".bank*")) == []


def test_a_file_gets_the_usual_permissions_and_no_other_thread_does(
    bank: MemoryBank, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask belongs to the whole process: files that others write meanwhile would get it."""
    usual = path.with_name("usual")
    usual.touch()
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask is changed"))
    bank.export(path)
    assert path.stat().st_mode == usual.stat().st_mode


# What may come from others.


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def header(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        data = {**json.loads(members[HEADER]), **changes}
        members[HEADER] = json.dumps(data).encode()

    return change


def entry(
    changes: dict[str, Any], number: int = 1, **certificate: Any
) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        lines = members[ENTRIES].splitlines()
        data = {**json.loads(lines[number]), **changes}
        if certificate:
            data["certificate"] = {**data["certificate"], **certificate}
        lines[number] = json.dumps(data).encode()
        members[ENTRIES] = b"\n".join(lines) + b"\n"

    return change


def member(name: str, edit: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members[name] = edit(members.get(name, b""))

    return change


HOSTILE = [
    (header(version=2), "newer version of the program .format 2"),
    (header(version=0), "version"),
    (header(version="1"), "version"),
    (header(format="something"), "header"),
    (header(model=7), "model"),
    (header(model=""), "model"),
    (header(num_classes=1), "classes"),
    (header(num_classes=1e3), "num_classes"),
    (header(num_classes=True), "num_classes"),
    (header(num_classes=2), "classes of this memory bank|names"),
    (header(shape=[1, 4, -4]), "size"),
    (header(shape=[1, 4, 4000]), "image"),
    (header(shape=[[1], 4, 4]), "size"),
    (header(shape=[10**6] * 3), "pixels"),
    (header(shape=[]), "shape"),
    (header(class_names=[1, 2, 3, 4]), "not text"),
    (header(pixels="[0, 255]"), "Pixels"),
    (header(budget={}), "budget"),
    (header(budget={"kind": "total", "total": 0.1, "planned": 3}), "may spend|settled"),
    (header(name="../../etc/passwd\n"), "name"),
    (header(name=""), "name"),
    (header(abstained={}), "count"),
    (header(abstained={"count": -1, "alpha": 0}), "abstentions"),
    (header(abstained={"count": 2, "alpha": 7}), "alpha"),
    (header(abstained={"count": 2, "alpha": float("nan")}), "alpha"),
    (header(abstained={"count": 10**30, "alpha": 0}), "abstentions"),
    (member(HEADER, lambda _: b"[" * 100_000), "header"),
    (member(HEADER, lambda _: b"7"), "header"),
    (member(HEADER, lambda _: b"\xff\xfe"), "header"),
    (member(ENTRIES, lambda b: b[:-40]), "cut off"),
    (member(ENTRIES, lambda b: b + b), "image"),
    (member(ENTRIES, lambda b: b"x" * 3_000_000), "too long"),
    (member(ENTRIES, lambda b: b"nonsense\n" + b), "ball 1"),
    (member(IMAGES, lambda b: b[:-1]), "image"),
    (member(IMAGES, lambda b: b + b"1"), "more images"),
    (member(IMAGES, lambda b: bytes(len(b))), "image of ball"),
    (member(IMAGES, lambda b: b"\xff" * len(b)), "NaN|image of ball"),
    (member("../evil", lambda _: b"x"), r"holds .*evil"),
    (member("model.pkl", lambda _: b"cos\nsystem\n(S'x'\ntR."), "model.pkl"),
    (lambda members: members.pop(IMAGES), "instead of a bank"),
    (entry({"image": "float64"}), "image"),
    (entry({"image": None}), "image"),
    (entry({"digest": "0"}), "image of ball 2"),
    (entry({"certificate": None}), "complete"),
    (entry({"certificate": {}}), "complete"),
    (entry({}, radius=float("nan")), "radius"),
    (entry({}, radius=float("inf")), "radius"),
    (entry({}, radius=-1.0), "from 0 on"),
    (entry({}, radius="1"), "radius"),
    (entry({}, radius=10**400), "certificate of ball 2"),
    (entry({}, prediction=4), "classes"),
    (entry({}, prediction=1.0), "prediction"),
    (entry({}, prediction=-5), "class"),
    (entry({}, prediction=None), "prediction"),
    (entry({}, model="other"), "other"),
    (entry({}, grade="best"), "grade"),
    (entry({}, bound=7), "bound"),
    (entry({}, counts=[1, "2"]), "counts"),
    (entry({}, counts=[-1]), "negative"),
    (entry({}, counts=7), "counts"),
    (entry({}, alpha=0.0), "alpha"),
    (entry({}, sigma=float("nan")), "sigma"),
    (entry({}, nonsense=1), "complete"),
    (header(tried=-1), "attempts"),
    (header(tried="1"), "tried"),
    (header(tried=True), "tried"),
    # What the votes do not prove.
    (entry({}, radius=50.0), "ball 2 .* own votes.* claims 50"),
    (entry({}, radius=1e308), r"ball 2 .* own votes.* claims 1e\+308"),
    (entry({}, sigma=0.0), "ball 2 .* own votes.* above 0"),
    (entry({}, sigma=1e300), "ball 2 .* own votes.* below 100"),
    (entry({}, sigma=-0.25), "ball 2 .* own votes"),
    (entry({}, n=-1000), "ball 2 .* own votes"),
    (entry({}, n=10**4000), "ball 2 .* own votes"),
    (entry({}, n=999), "ball 2 .* own votes.* add up"),
    (entry({}, n0=0), "ball 2 .* own votes"),
    (entry({}, counts=[250, 250, 250, 250]), "ball 2 .* own votes"),
    (entry({}, counts=[0, 1000]), "ball 2 .* own votes.* 2 classes, not for 4"),
    (entry({}, counts=[10**4000, 0, 0, 0]), "ball 2 .* own votes"),
    (entry({}, candidate=99), "ball 2 .* own votes"),
    (entry({}, alpha=1e-200), "ball 2 .* own votes"),
    (entry({}, p_lower=0.9999), "ball 2 .* own votes"),
    (entry({}, p_lower=float("nan")), "p_lower"),
    (entry({}, schedule="now and then"), "ball 2 .* own votes"),
    (entry({}, schedule="looks n_max=1000 first=512 growth=15 last=1e-90"), "ball 2 .* own vot"),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A database with one bank, and the bank's file; the refusals depend on no database."""
    folder = tmp_path_factory.mktemp("exported")
    url = f"sqlite:///{folder}/ddrs.sqlite3"
    bank = MemoryBank.open(
        url, "a", model=MODEL, num_classes=4, shape=SHAPE, class_names=("a", "b", "c", "d")
    )
    bank.settle_many(*zip(*random_claims(np.random.default_rng(0), 40), strict=True))
    bank.export(folder / "bank.zip")
    return url, folder / "bank.zip"


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_files_that_are_not_sound_are_refused(
    exported: tuple[str, Path], tmp_path: Path, number: int
) -> None:
    change, said = HOSTILE[number]
    url, path = exported[0], tmp_path / "bank.zip"
    path.write_bytes(exported[1].read_bytes())
    rewrite(path, change)  # type: ignore[arg-type]
    files = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(BankFileError, match=said) as refused:
        import_bank(url, path, owner="mallory")
    assert len(str(refused.value)) < 600
    assert [bank.name for bank in list_banks(url)] == ["a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == files


def test_other_files_are_refused(store: Store, path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[200:260] = bytes(60)
    for content in (b"", b"PK\x03\x04", b"no zip at all" * 100, whole[: len(whole) // 2], damaged):
        path.write_bytes(content)
        with pytest.raises(BankFileError, match=r"damaged|is not a sound bank file"):
            import_bank(address(store), path, owner="mallory")
    for nothing in (tmp_path, tmp_path / "nothing.zip"):
        with pytest.raises(BankFileError, match=r"cannot be read|is a folder"):
            import_bank(address(store), nothing, owner="mallory")
    assert list_banks(address(store), owner="mallory") == []


def test_a_file_that_unpacks_to_gigabytes_is_refused(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_import, "MAX_BYTES", 10_000_000)
    rewrite(path, member(IMAGES, lambda _: bytes(20_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(BankFileError, match="more than banks may"):
        import_bank(address(store), path, owner="mallory")


def test_a_file_that_claims_what_is_not_so_is_settled_anew(store: Store, path: Path) -> None:
    """Somebody gave balls radii that nothing proves."""

    def enlarge(members: dict[str, bytes]) -> None:
        lines = [json.loads(line) for line in members[ENTRIES].splitlines()]
        for data in lines:
            data["radius"], data["outcome"] = 3.0, "untouched"
        members[ENTRIES] = b"".join(json.dumps(data).encode() + b"\n" for data in lines)

    rewrite(path, enlarge)
    imported = import_bank(address(store), path, "altered", owner=path.parent.name)
    assert imported.differing == imported.balls
    bank = MemoryBank.find(address(store), imported.bank.id)
    assert max(ball.radius for ball in bank.balls()) < 3
    check_exactly(bank)


def test_a_forged_first_ball_does_not_swallow_the_others(store: Store, tmp_path: Path) -> None:
    """As a ball of radius 50, which reaches over all images that there are."""
    bank = new_bank(store)
    images = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)
    bank.settle_many(list(images), [claim(k, 0.1) for k in range(3)])
    bank.export(tmp_path / "bank.zip")
    rewrite(tmp_path / "bank.zip", entry({"radius": 50.0}, number=0, radius=50.0))
    with pytest.raises(BankFileError, match=r"certificate of ball 1 .* claims 50"):
        import_bank(address(store), tmp_path / "bank.zip", owner="mallory")
    assert list_banks(address(store), owner="mallory") == []
