"""Files that are no weights, damaged or hostile: refused in words, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ddrs_core.errors import CheckpointError
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.importing.proposal import propose
from ddrs_core.models.importing.read import read_here
from ddrs_core.models.importing.recognise import recognise
from ddrs_core.models.importing.sandbox import Limits, read_state
from tests.browser.hostile_files import hostile_models


class Writer(pickle.Pickler):
    """Writes pickles as torch does, with storages of any claim."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.identity if isinstance(obj, Claim) else None


class Claim:
    """A storage as a file may claim it."""

    def __init__(self, numel: int, key: str = "0", kind: Any = torch.FloatStorage) -> None:
        self.identity = ("storage", kind, key, "cpu", numel)


class Call:
    """Something that a pickle calls when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def tensor(claim: Claim, offset: Any, size: Any, stride: Any) -> Call:
    rebuild = torch._utils._rebuild_tensor_v2
    return Call(rebuild, claim, offset, size, stride, False, OrderedDict())


def dumps(content: Any) -> bytes:
    stream = io.BytesIO()
    Writer(stream, protocol=2).dump(content)
    return stream.getvalue()


def write_zip(path: Path, content: Any, numbers: int = 4, **members: bytes) -> Path:
    """A file as torch.save writes it, with one storage of ``numbers`` floats."""
    pickled = content if isinstance(content, bytes) else dumps(content)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", np.ones(numbers, np.float32).tobytes())
        archive.writestr("archive/version", "3\n")
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return path


def refused(path: Path, *words: str, limits: Limits | None = None) -> str:
    """Read the file, in a child where there are limits, and look for words in the refusal."""
    with pytest.raises(CheckpointError) as error:
        read_here(path) if limits is None else read_state(path, limits)
    text = str(error.value)
    for word in words:
        assert word in text, text
    assert len(text) < 600
    assert text.isprintable()
    return text


def refusal(path: Path) -> str:
    """What is said about the file; empty where it is read."""
    try:
        read_here(path)
    except CheckpointError as error:
        return str(error)
    return ""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.fixture
def good() -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.rand(3, 4), "fc.bias": torch.rand(3)}


def test_the_writer_of_these_tests_writes_files_that_are_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", {"w": tensor(Claim(4), 0, (2, 2), (2, 1))})
    assert torch.equal(read_here(path).state["w"], torch.ones(2, 2))


# Pickles that would run something


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_module(tmp_path: Path, zipped: bool) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    torch.save(model, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "a.pt", "torch.nn.modules.container.Sequential", "model.state_dict()")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("beside", [True, False])
def test_a_call_is_not_made(
    tmp_path: Path, marker: Path, good: dict[str, Any], zipped: bool, beside: bool
) -> None:
    call = Call(os.mkdir, str(marker))
    content = {"state_dict": good, "epoch": call} if beside else call
    path = tmp_path / "a.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path, "mkdir", "Nothing was executed")
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # it would have


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__])
def test_builtins_are_not_called(tmp_path: Path, function: Callable[..., Any]) -> None:
    path = write_zip(tmp_path / "a.pt", {"w": Call(function, "os", "path")})
    refused(path, function.__name__, "Nothing was executed")


def test_memory_is_not_filled_by_a_call(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "a.pt", {"w": Call(bytearray, 10**12)}), "bytearray")
    refused(write_zip(tmp_path / "b.pt", {"w": Call(torch.Tensor, 10**11)}), "torch")


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_a_plain_pickle(tmp_path: Path, marker: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"w": [1.0, 2.0]}, protocol))
    refused(path, "pickle", "torch.save")
    path.write_bytes(pickle.dumps(Call(os.mkdir, str(marker)), protocol))
    refused(path)
    assert not marker.exists()


def test_other_objects_beside_the_weights(tmp_path: Path, good: dict[str, Any]) -> None:
    import argparse

    torch.save({"state_dict": good, "args": argparse.Namespace(lr=0.1)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "argparse.Namespace", "model.state_dict()")


def test_numpy_arrays_beside_the_weights(tmp_path: Path, good: dict[str, Any]) -> None:
    torch.save({"state_dict": good, "history": np.zeros(3)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "numpy array", "model.state_dict()")


def test_a_list_of_storages_that_is_none(tmp_path: Path, good: dict[str, Any]) -> None:
    path = tmp_path / "a.pt"
    torch.save(good, path, _use_new_zipfile_serialization=False)
    start = path.read_bytes().rindex(b"\x80\x02]")
    path.write_bytes(path.read_bytes()[:start] + b"\x80\x02](]]e." + bytes(200))
    refused(path, "damaged")


def test_names_of_classes_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    pickled = b"\x80\x02cevil\x1b[2J" + b"x" * 5000 + b"\nBad\x07\n)\x81."
    text = refused(write_zip(tmp_path / "a.pt", pickled), "evil")
    assert "\x1b" not in text


# Claims about tensors that the file does not keep


@pytest.mark.parametrize(
    ("claim", "offset", "size", "stride"),
    [
        (Claim(4), 0, (10**6,), (1,)),  # more than the storage
        (Claim(10**6), 0, (10**6,), (1,)),  # a storage that is longer than its bytes
        (Claim(3), 0, (3,), (1,)),  # shorter than its bytes
        (Claim(4), 0, (10**9, 10**9), (0, 0)),  # expanded
        (Claim(4), 3, (2,), (1,)),  # beyond the end
        (Claim(4), 0, (2,), (4,)),  # likewise
        (Claim(4), -1, (2,), (1,)),
        (Claim(4), 0, (-2,), (1,)),
        (Claim(4), 0, (2,), (-1,)),
        (Claim(4), 0, (2**63,), (1,)),
        (Claim(4), 0, (2, 2), (1,)),
        (Claim(4), 0, (1.5,), (1,)),
        (Claim(4), 0, 7, 7),
        (Claim(4, key="7"), 0, (2,), (1,)),  # not in the file
        (Claim(4, key="../../etc/passwd"), 0, (2,), (1,)),
        (Claim(-4), 0, (0,), (1,)),
    ],
)
def test_tensors_that_claim_more_than_there_is(
    tmp_path: Path, claim: Claim, offset: Any, size: Any, stride: Any
) -> None:
    refused(write_zip(tmp_path / "a.pt", {"w": tensor(claim, offset, size, stride)}), "a.pt")


def test_legacy_files_that_announce_more_than_they_hold(
    tmp_path: Path, good: dict[str, Any]
) -> None:
    path = tmp_path / "a.pt"
    torch.save(good, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    read_here(path)
    twelve = b"K\x0c"  # numel of fc.weight, then its shape
    assert content.count(twelve) == 1
    path.write_bytes(content.replace(twelve, b"J" + struct.pack("<i", 2**31 - 1)))
    refused(path, "announced")


def test_one_storage_described_twice(tmp_path: Path) -> None:
    content = {
        "a": tensor(Claim(4), 0, (4,), (1,)),
        "b": tensor(Claim(2, kind=torch.DoubleStorage), 0, (2,), (1,)),
    }
    refused(write_zip(tmp_path / "a.pt", content), "damaged")


@pytest.mark.slow
def test_keys_that_take_forever_to_hash(tmp_path: Path) -> None:
    nested = b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
    path = write_zip(tmp_path / "a.pt", b"\x80\x02}" + nested + b"K\x01s.")
    refused(path, "1 s of computing", limits=BRIEFLY)


def test_lists_that_grow_exponentially(tmp_path: Path) -> None:
    nested = b"]" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
    refused(write_zip(tmp_path / "a.pt", b"\x80\x02}X\x01\x00\x00\x00w" + nested + b"s."), "a.pt")


def repeated(value: bytes, *calls: bytes, times: int) -> bytes:
    """A pickle that makes one value and calls something with it, again and again."""
    return b"\x80\x02" + value + b"q\x00]" + b"".join(calls) * times + b"."


BRIEFLY = Limits(cpu_seconds=1)
ENTRIES = b"}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(10_000)) + b"u"
TEXT = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pickled",
    [
        repeated(ENTRIES, b"ccollections\nCounter\nh\x00\x85Ra", times=1000),
        repeated(ENTRIES, b"ccollections\nOrderedDict\nh\x00\x85Ra", times=1000),
        repeated(TEXT, b"c_codecs\nencode\nh\x00X\x06\0\0\0latin1\x86Ra", times=1000),
        repeated(TEXT, b"c__builtin__\nbytearray\nh\x00X\x06\0\0\0latin1\x86Ra", times=1000),
    ],
    ids=["Counter", "OrderedDict", "bytes", "bytearray"],
)
def test_one_value_that_is_copied_again_and_again(tmp_path: Path, pickled: bytes) -> None:
    refused(write_zip(tmp_path / "a.pt", pickled), "more memory", limits=Limits(memory=1 << 29))


@pytest.mark.slow
def test_sets_and_counters_that_take_forever_to_hash(tmp_path: Path) -> None:
    nested = b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
    for made in (b"cbuiltins\nset\n", b"ccollections\nCounter\n"):
        refused(write_zip(tmp_path / "a.pt", b"\x80\x02" + made + b"(" + nested + b"l."))
        pickled = b"\x80\x02" + made + b"]" + nested + b"a\x85R."
        refused(write_zip(tmp_path / "b.pt", pickled), "1 s of computing", limits=BRIEFLY)


def test_tensors_that_share_a_few_numbers_and_claim_gigabytes(tmp_path: Path) -> None:
    shared = torch.zeros(1 << 20)
    torch.save({f"w{i}": shared for i in range(2_000)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "7.8 GB", "fill the memory")


# Entries that are made to keep a search for weights busy, or to mislead it


def test_entries_that_hold_themselves(tmp_path: Path, good: dict[str, Any]) -> None:
    content: dict[str, Any] = {"list": []}
    content["self"] = content["list"]
    content["list"] += [content, content["list"]]
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "no tensors")
    content["list"].append({"good": good})
    torch.save(content, tmp_path / "a.pt")
    assert read_here(tmp_path / "a.pt").state.keys() == good.keys()


@pytest.mark.parametrize("depth", [50, 100_000])
def test_entries_that_are_nested_deeply(tmp_path: Path, depth: int) -> None:
    inside = dumps({"w": tensor(Claim(4), 0, (2, 2), (2, 1))})[2:-1]
    pickled = b"\x80\x02" + b"]" * depth + inside + b"a" * depth + b"."
    refused(write_zip(tmp_path / "a.pt", pickled), "nested too deeply")


def test_thousands_of_sets_of_weights(tmp_path: Path) -> None:
    part = torch.rand(1)
    crowd = {f"{i}": {f"w{j}": part for j in range(9)} for i in range(3_000)}
    torch.save(crowd, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert len(raw.state) == 9
    assert any("were not compared" in note for note in raw.notes)
    assert raw.extras[-1] == "and 2,987 more"


def test_names_with_endless_prefixes(tmp_path: Path) -> None:
    part = torch.rand(1)
    chance = random.Random(0)
    names = {".".join(chance.choices(("module", "model", "0"), k=60)) for _ in range(10_000)}
    torch.save(dict.fromkeys(names, part), tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert len(raw.state) == len(names)
    assert recognise(raw) == []


def test_attributes_that_hide_a_tensors_methods(tmp_path: Path) -> None:
    lying = torch.rand(3)
    for name in ("numel", "is_floating_point", "flatten", "detach", "element_size", "float"):
        setattr(lying, name, 3)
    torch.save({"w": lying, "b": torch.rand(2)}, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["w"].numel == 3
    assert read_here(tmp_path / "a.pt").state["w"].numel() == 3


def test_a_normalisation_that_is_not_finite_is_not_left_out(tmp_path: Path) -> None:
    network = get_architecture("lenet").build(10, 1).state_dict()
    state = {f"1.{key}": value for key, value in network.items()}
    for mean, std in (("nan", 1.0), (0.5, "nan"), (0.5, "inf")):
        layer = {"0.mean": torch.tensor([float(mean)]), "0.std": torch.tensor([float(std)])}
        torch.save({**layer, **state}, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", "not finite", "0.")


# Tensors of other kinds


ODD_TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "quantized": lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8),
    "meta": lambda: torch.rand(3, device="meta"),
    "complex": lambda: torch.rand(3, dtype=torch.complex64),
    "NaN": lambda: torch.tensor([1.0, float("nan")]),
    "infinity": lambda: torch.tensor([1.0, float("inf")]),
    "float8": lambda: torch.zeros(3).to(torch.float8_e4m3fn),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("word", ODD_TENSORS)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_kinds_of_tensors(
    tmp_path: Path, good: dict[str, Any], word: str, zipped: bool
) -> None:
    content = {**good, "odd": ODD_TENSORS[word]()}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "a.pt", "a.pt", word)


def test_the_first_tensor_that_is_not_finite_is_named(tmp_path: Path, good: dict[str, Any]) -> None:
    torch.save({**good, "layer.bias": torch.full((2,), float("nan"))}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "layer.bias", "not finite")
    save_file({**good, "layer.bias": torch.full((2,), float("nan"))}, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", "layer.bias", "not finite")


# Contents that are no weights by name


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, "no tensors"),
        ({"epoch": 3, "note": "hello"}, "no tensors"),
        ({"state_dict": {}}, "no tensors"),
        ({1: torch.zeros(2)}, "not text"),
        ({"state_dict": {7: torch.zeros(2)}}, "not text"),
        ([torch.zeros(2)], "list"),
        (torch.full((10_000,), 0.12), "one tensor of shape [10000]"),
        (3, "int"),
        ({"0.mean": torch.zeros(3), "0.std": torch.ones(3)}, "no network"),
    ],
)
def test_contents_that_are_no_weights(tmp_path: Path, content: Any, word: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", word)


# Other kinds of files


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, these are no weights\n", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "JPEG"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0" + bytes(100), "ONNX"),
        (b"\x08\x01\x12\x10saved_model serve" + bytes(100), "TensorFlow"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "TensorFlow Lite"),
        (bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "TensorFlow checkpoint"),
        (b"\x93NUMPY\x01\x00" + bytes(100), "numpy"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (bytes(500), "zeros"),
        (bytes(257) + b"ustar" + bytes(300), "tar"),
        (random.Random(0).randbytes(500), "not weights"),
    ],
)
def test_other_kinds_of_files(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    refused(path, "model.pth", word)


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2)).save(str(tmp_path / "a.pt"))
    refused(tmp_path / "a.pt", "TorchScript", "state_dict")


def test_archives_of_something_else(tmp_path: Path, good: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", w=np.zeros(3))
    refused(tmp_path / "a.npz", "numpy")
    torch.save(good, tmp_path / "net.pth")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "net.pth", "folder/net.pth")
    refused(tmp_path / "a.zip", "unpack", "net.pth")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a/letter.txt", "hello")
        archive.writestr("b/letter.txt", "hello")
    refused(tmp_path / "b.zip", "archive of something else")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path, "folder")
    refused(tmp_path / "nowhere.pt", "There is no file")
    refused(tmp_path / "odd\x1b[2J\n.pt", "There is no file")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.pt").open("wb") as file:
        file.truncate(5 << 30)  # takes no room
    refused(tmp_path / "a.pt", "5.0 GB")


# Archives made to fill the memory


def test_a_zip_bomb(tmp_path: Path, good: dict[str, Any]) -> None:
    torch.save(good, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/9", bytes(50_000_000))
    refused(tmp_path / "a.pt", "compressed")


def test_a_compressed_list_of_tensors(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N0" * 10_000_000)
    refused(tmp_path / "a.pt", "compressed")


def test_a_long_list_of_tensors(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "a.pt", b"\x80\x02]" + b"N" * (17 << 20)), "17 MB")


def test_a_list_of_tensors_with_too_many_steps(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "a.pt", b"\x80\x02" + b"N" * 2_100_000 + b"."), "no tensors")


def test_too_many_parts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for i in range(50_001):
            archive.writestr(f"a/{i}", b"")
    refused(tmp_path / "a.pt", "50,001 parts")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", {"w": tensor(Claim(4), 0, (4,), (1,))})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", dumps({"w": Call(eval, "1")}))
    refused(path, "same name")


@pytest.mark.parametrize("length", [2**40 - 1, 2**25, 10**6, 3])
def test_a_safetensors_file_that_claims_a_long_header(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + b'{"a":' + bytes(50))
    refused(tmp_path / "a.safetensors", "damaged")


# Damage


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("how", ["zip", "legacy", "safetensors"])
def test_cut_off_files(tmp_path: Path, share: float, how: str) -> None:
    state = {"fc.weight": torch.rand(50, 40)}
    path = tmp_path / "a.pt"
    if how == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "a.pt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["zip", "legacy", "safetensors"])
def test_no_damage_raises_anything_else(tmp_path: Path, good: dict[str, Any], how: str) -> None:
    path = tmp_path / "a.pt"
    if how == "safetensors":
        save_file(good, path)
    else:
        torch.save(
            {"state_dict": good, "epoch": 1}, path, _use_new_zipfile_serialization=how == "zip"
        )
    content = path.read_bytes()
    chance = random.Random(0)
    refusals = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 4, 20))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(bytes(damaged[: chance.choice((len(damaged), chance.randrange(9999)))]))
        said = refusal(path)
        refusals += bool(said)
        assert said.isprintable()
        assert len(said) < 600
    assert refusals > 20


def test_what_a_visitor_may_hand_in(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    files = hostile_models(marker)
    del files["counters.pth"]  # fills the memory of a child process first, see the browser's test
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError) as refused:
            propose(read_here(tmp_path / name))
        assert words in str(refused.value), name
        assert len(str(refused.value)) < 600
    assert not marker.exists()
