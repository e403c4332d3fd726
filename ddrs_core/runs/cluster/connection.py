"""Joining a Ray cluster, or starting one on this machine, quietly and within a bounded time."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddrs_core.errors import DDRSError, InvalidParameterError

_ADDRESS = re.compile(r"(ray://)?(?P<target>[^\s/:]+:[0-9]{1,5}|\[[0-9A-Fa-f:.%]+\]:[0-9]{1,5})")
ANSWER_SECONDS = 8.0
_STORE_BYTES = 256 << 20  # of shared memory: images of a few units, and the model on top
_QUIET = {  # read by Ray when it is imported or started
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # lost workers, which it prints whatever it is told
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # attempts of half a minute each to reach a cluster
}


class ClusterError(DDRSError):
    """A Ray cluster cannot be reached, or its workers are lost again and again."""


def require_ray() -> Any:
    """The module ``ray``.

    Raises:
        InvalidParameterError: if it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InvalidParameterError(
            "Certifying on a cluster needs Ray: pip install -r requirements-cluster.txt"
        ) from None
    return ray


def check_address(address: str) -> str:
    """Return ``address`` if it is ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.

    Raises:
        InvalidParameterError: if it is something else.
    """
    if address != "auto" and not _ADDRESS.fullmatch(address):
        raise InvalidParameterError(
            "The address of a Ray cluster is auto, HOST:PORT or ray://HOST:PORT, such as "
            f"10.0.0.1:6379, not {address[:60]!r}."
        )
    return address


@contextmanager
def connected(address: str, model_bytes: int = 0) -> Iterator[Any]:
    """Ray, connected to a cluster; on leaving, the connection is as it was before.

    Args:
        address: of the cluster. ``auto`` means the one that this process is connected to, the
            one that ``RAY_ADDRESS`` names, the one that ``ray start`` has made this machine a
            part of, or else a new one on this machine, which ends with the connection.
        model_bytes: what a new one must have room for.

    Raises:
        InvalidParameterError: if Ray is missing, or the address malformed.
        ClusterError: if the cluster cannot be reached, also later on.
    """
    ray = require_ray()
    joined_here = not ray.is_initialized()
    if joined_here:
        _join(ray, check_address(address), model_bytes)
    elif address not in ("auto", ray.get_runtime_context().gcs_address):
        raise InvalidParameterError(
            "This process works on the Ray cluster at "
            f"{ray.get_runtime_context().gcs_address} already, not on {address[:60]!r}."
        )
    try:
        yield ray
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise ClusterError(f"The Ray cluster is lost: {first_line(error)}") from None
    finally:
        if joined_here:
            ray.shutdown()


def first_line(error: object) -> str:
    """The gist of one of Ray's long messages, as a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in lines:
        _, found, name = line.partition("No module named ")
        if found:
            return (
                f"{found}{name.rstrip('.')} on its machine; install what this program needs there."
            )
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".") + "."


def _join(ray: Any, address: str, model_bytes: int) -> None:
    named = os.environ.get("RAY_ADDRESS", "")
    if address == "auto" and named in ("", "auto", "local"):
        _join_here(ray, model_bytes)
        return
    address = check_address(named) if address == "auto" else address
    if not _answers(address):
        raise ClusterError(
            f"No Ray cluster answers at {address}. `ray status` on its head machine tells whether "
            "it runs; its port is 6379 unless chosen otherwise (10001 after ray://)."
        )
    _init(ray, f"The Ray cluster at {address} cannot be joined", address=address)


def _join_here(ray: Any, model_bytes: int) -> None:
    """Join the cluster that ``ray start`` has made this machine a part of, or start one.

    Ray's own ``auto`` also joins a cluster that another program has started for itself alone, and
    would be cut off with it.
    """
    noted = _noted_address()
    if _ADDRESS.fullmatch(noted) and _answers(noted):  # one that has crashed leaves its note
        # Without an address Ray takes the noted one, with the token that belongs to it.
        _init(ray, f"The Ray cluster at {noted} cannot be joined")
        return
    _init(
        ray,
        "Ray cannot be started on this machine",
        address="local",
        include_dashboard=False,
        object_store_memory=_STORE_BYTES + 2 * model_bytes,
    )


def _noted_address() -> str:
    """What ``ray start`` has noted on this machine; empty if nothing."""
    folder = os.environ.get("RAY_TMPDIR")
    if folder is None and sys.platform == "linux":
        folder = os.environ.get("TMPDIR")
    try:
        note = Path(folder or "/tmp", "ray", "ray_current_cluster")
        return note.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _init(ray: Any, complaint: str, **options: Any) -> None:
    """``ray.init``, without its messages and its handler of signals.

    Raises:
        ClusterError: if it fails, with the reason after ``complaint``.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # of many kinds, among them other versions of Ray or Python there
        ray.shutdown()
        raise ClusterError(f"{complaint}: {first_line(error)}{_hint(error)}") from None
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _hint(error: BaseException) -> str:
    """What may help if Ray wants a token, which it says deep inside, or after ray:// not at all."""
    text = ""
    inner: BaseException | None = error
    while inner is not None:
        text, inner = f"{text} {inner}", inner.__cause__ or inner.__context__
    if "token" not in text and "client connection timeout" not in text:
        return ""
    return (
        " If it wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what "
        "`ray get-auth-token` says on its head machine."
    )


def _answers(address: str) -> bool:
    """Whether a server of the kind that Ray is answers; Ray itself would try for minutes."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True  # only Ray knows the keys
    target = address.removeprefix("ray://")
    with grpc.insecure_channel(target, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True
