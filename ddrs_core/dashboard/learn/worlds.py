"""Worlds of the plane for the browser: those of the lessons come with the program, each of the
playground's is worked out once and shared by all visitors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ddrs_core.cache import LRU
from ddrs_core.dashboard.components.board import address_of
from ddrs_core.dashboard.components.data_uri import encode_array
from ddrs_core.dashboard.learn.precomputed import COMPUTE, FOLDER, read_file
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.smoothing import plane
from ddrs_core.smoothing.plane import (
    CELLS,
    GRID,
    SIGMAS,
    PlaneConfig,
    PlanePoints,
    PlaneProblem,
    PlaneWorld,
    build_world,
)

ISLANDS = PlaneProblem("moons", seed=2, network=PlaneConfig(seed=2))  # of the lessons
BANDS = PlaneProblem("bands", seed=1, network=PlaneConfig(noise=0.02))
MAX_OWN = 120  # points
_SCALE = 1024  # steps of the probit for one unit, as it is sent
_CODE = Path(plane.__file__).parent.glob("*.py")
_MADE = {ISLANDS: "islands.json.gz", BANDS: "bands.json.gz"}
_FILES = [*sorted(_CODE), *(FOLDER / name for name in _MADE.values())]
_VERSION = sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()[:12]
_ROUTE = f"/ddrs/learn/{_VERSION}/world"
_PATIENCE = 30.0  # seconds that a browser waits for others' worlds
_WORLDS: LRU[PlaneWorld] = LRU(8)
_SENT: LRU[bytes] = LRU(16)
_BUILDING = Lock()  # one at a time, or a class would share the processor with itself


def get_world(problem: PlaneProblem) -> PlaneWorld:
    """The world of a problem, from memory if somebody asked for it before."""
    return _WORLDS.get(problem, lambda: _build(problem))


def _build(problem: PlaneProblem) -> PlaneWorld:
    if not _BUILDING.acquire(timeout=_PATIENCE):
        raise TimeoutError
    try:
        return build_world(problem)
    finally:
        _BUILDING.release()


def world_url(problem: PlaneProblem) -> str:
    """Where a browser finds the world of a problem."""
    return f"{world_route()}?{urlencode(to_query(problem))}"


def world_route() -> str:
    """Where a browser finds worlds; the problem stands after it."""
    return address_of(_ROUTE)


def to_query(problem: PlaneProblem) -> dict[str, str]:
    """The problem as query parameters."""
    network = problem.network
    query = {"data": problem.points, "seed": problem.seed}
    query |= {"width": network.width, "noise": network.noise, "start": network.seed}
    if problem.own:
        query["own"] = encode_points(problem.own)
    return {name: f"{value}" for name, value in query.items()}


def parse_problem(query: Mapping[str, str]) -> PlaneProblem:
    """Read a problem from query parameters, which may come from anywhere.

    Raises:
        DDRSError: for what cannot be used.
    """
    usual = PlaneProblem()
    try:
        network = PlaneConfig(
            width=int(query.get("width", usual.network.width)),
            noise=round(float(query.get("noise", usual.network.noise)), 3),
            seed=int(query.get("start", usual.network.seed)),
        ).check()
        seed = int(query.get("seed", usual.seed))
        own = decode_points(query.get("own", ""))
    except (ValueError, OverflowError) as error:
        raise InvalidParameterError("The address names no network and no points.") from error
    name = query.get("data", usual.points)
    if name not in plane.DATASETS or not 0 <= seed <= 9999:
        raise InvalidParameterError(f"There are no points called {name!r} with this seed.")
    if own:
        PlanePoints.of(own)
    return PlaneProblem(name, seed, own, network)


def encode_points(points: tuple[tuple[float, float, int], ...]) -> str:
    """Points for an address: four hex digits for the place and one for the class of each."""
    return "".join(f"{round(x * 255):02x}{round(y * 255):02x}{k}" for x, y, k in points)


def decode_points(text: str) -> tuple[tuple[float, float, int], ...]:
    """Points from an address.

    Raises:
        ValueError: if it does not hold any.

    >>> decode_points("00ff1")
    ((0.0, 1.0, 1),)
    """
    if len(text) % 5 or len(text) > 5 * MAX_OWN:
        raise ValueError(f"Points are up to {MAX_OWN} groups of five digits.")
    groups = [text[i : i + 5] for i in range(0, len(text), 5)]
    return tuple((int(g[:2], 16) / 255, int(g[2:4], 16) / 255, int(g[4])) for g in groups)


def encode_world(world: PlaneWorld) -> bytes:
    """What the browser needs of a world, as compressed JSON.

    The probit travels in steps of 1/1024, each as the difference from its left neighbour.
    """
    z = world.z[:1] if len(world.z) == 2 else world.z  # the second of two classes is the rest
    steps = np.round(z * _SCALE).astype("<i2")
    facts: dict[str, Any] = {
        "classes": len(world.z),
        "grid": GRID,
        "cells": CELLS,
        "sigmas": SIGMAS.tolist(),
        "scale": _SCALE,
        "z": encode_array(np.diff(steps, axis=-1, prepend=np.int16(0))),
        "window": encode_array(world.window),
        "points": _rows(world.points),
        "fresh": _rows(world.fresh),
        "freshZ": encode_array(world.fresh_z.astype("<f4")),
        "layers": [
            {"weight": encode_array(weight.numpy()), "bias": encode_array(bias.numpy())}
            for weight, bias in world.weights()
        ],
    }
    return gzip.compress(json.dumps(facts).encode(), 6, mtime=0)


def _body(problem: PlaneProblem) -> bytes:
    if problem in _MADE:
        return read_file(_MADE[problem])
    return _SENT.get(problem, lambda: encode_world(get_world(problem)))


def _rows(points: PlanePoints) -> list[list[float]]:
    places = points.x.round(4).tolist()
    return [[*x, k] for x, k in zip(places, points.labels.tolist(), strict=True)]


def _send(request: Request) -> Response:
    try:
        problem = parse_problem(request.query_params)
    except DDRSError as error:
        return Response(str(error), 400)
    try:
        body = _body(problem)
    except TimeoutError:
        return Response("Many networks are being trained here; reload in a minute.", 503)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Encoding": "gzip",
    }
    return Response(body, media_type="application/json", headers=headers)


ROUTES = [Route(_ROUTE, _send)]

for _problem, _name in _MADE.items():
    COMPUTE[_name] = partial(lambda problem: encode_world(get_world(problem)), _problem)
