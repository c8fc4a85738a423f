"""Who spreads the calls: each side opens a channel over the same replicas, with the same attempts and timeout."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import grpc

from libs.mesh.channel import MeshChannel
from libs.mesh.service_config import DEFAULT_SERVICE_CONFIG
from tests.benchmarks.live.envoy import find_envoy, running_envoy

TIMEOUT: Final = 1.0
"""Seconds that every call is given."""

OpenChannel = Callable[[Sequence[str]], AbstractAsyncContextManager[grpc.aio.Channel]]

_ROUND_ROBIN: Final[Mapping[str, object]] = {"round_robin": {}}
_OUTLIER_DETECTION: Final[Mapping[str, object]] = {
    "outlier_detection_experimental": {
        "interval": "1s",
        "baseEjectionTime": "5s",
        "maxEjectionPercent": 50,
        "failurePercentageEjection": {"threshold": 50, "minimumHosts": 3, "requestVolume": 10},
        "childPolicy": [_ROUND_ROBIN],
    }
}


def all_sides() -> dict[str, OpenChannel]:
    """The sides that this machine can run, by name."""
    sides: dict[str, OpenChannel] = {
        "round_robin": partial(c_core, _ROUND_ROBIN),
        "outlier_detection": partial(c_core, _OUTLIER_DETECTION),
    }
    binary = find_envoy()
    if binary is not None:
        sides["envoy"] = partial(envoy, binary)
    return sides | {"mesh": mesh}


@asynccontextmanager
async def mesh(addresses: Sequence[str]) -> AsyncIterator[grpc.aio.Channel]:
    """`MeshChannel` as it comes."""
    async with MeshChannel(f"static:///{','.join(addresses)}") as channel:
        yield channel


@asynccontextmanager
async def c_core(policy: Mapping[str, object], addresses: Sequence[str]) -> AsyncIterator[grpc.aio.Channel]:
    """gRPC's own channel with one of its own policies, and the mesh's default retries."""
    config = {**DEFAULT_SERVICE_CONFIG, "loadBalancingConfig": [policy]}
    options = (
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config", json.dumps(config)),
        # As the mesh has it: the default of 120 s would count against C-core for want of an option.
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.initial_reconnect_backoff_ms", 100),
    )
    async with grpc.aio.insecure_channel(f"ipv4:{','.join(addresses)}", options) as channel:
        yield channel


@asynccontextmanager
async def envoy(binary: Path, addresses: Sequence[str]) -> AsyncIterator[grpc.aio.Channel]:
    """A bare channel to an Envoy, which does the rest."""
    async with (
        running_envoy(binary, addresses, TIMEOUT) as address,
        grpc.aio.insecure_channel(address, (("grpc.enable_http_proxy", 0),)) as channel,
    ):
        yield channel
