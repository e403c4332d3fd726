"""Freed memory that is kept for the next batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told anything")

_VOTES = """
import resource, torch
from ddrs_core.models import NoisyForward, load_model, noise_generator
from ddrs_core.models.inference.allocator import keep_freed_memory
torch.set_num_threads(1)
forward = NoisyForward(load_model("digits-gaussian-0.50", "cpu"), precision="fp32")
def votes():
    generators = [noise_generator(0, 0, "votes", forward.device)]
    return forward.votes(torch.full((1, 1, 8, 8), 0.5), torch.tensor([0.5]), 8192, generators)
votes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
found = votes()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(keep_freed_memory(), faults, *found[0].tolist())
"""


def run(**environment: str) -> tuple[str, int, list[str]]:
    """What the process says of the allocator, pages that the kernel gave it, and its votes."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", _VOTES],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **environment},
    )
    kept, faults, *votes = done.stdout.split()
    return kept, int(faults), votes


@pytest.mark.slow
def test_a_batch_gets_the_memory_of_the_one_before() -> None:
    kept, few, votes = run()
    left, many, same = run(MALLOC_TRIM_THRESHOLD_="131072")
    assert (kept, left) == ("True", "False")
    assert votes == same
    assert 20 * few < many > 5_000
