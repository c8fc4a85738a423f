"""The connectivity of several endpoints as if they were one channel."""

import asyncio
from collections.abc import Mapping
from typing import Final

import grpc

from libs.mesh.endpoint import Endpoint

States = Mapping[Endpoint, grpc.ChannelConnectivity]

_BEST_FIRST: Final = (
    grpc.ChannelConnectivity.READY,
    grpc.ChannelConnectivity.CONNECTING,
    grpc.ChannelConnectivity.IDLE,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
)


def aggregate(states: States) -> grpc.ChannelConnectivity:
    """The best state of any endpoint, as gRPC's own round robin has it; CONNECTING while there is none."""
    present = set(states.values())
    return next((state for state in _BEST_FIRST if state in present), grpc.ChannelConnectivity.CONNECTING)


async def wait_for_any_change(states: States, signal: asyncio.Event) -> None:
    """Wait until an endpoint's state is another one than `states` says, or until `signal` is set."""
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(_watch(endpoint, state, changed)) for endpoint, state in states.items()]
        waiting.append(group.create_task(_relay(signal, changed)))
        await changed.wait()
        for task in waiting:
            task.cancel()


async def _watch(endpoint: Endpoint, state: grpc.ChannelConnectivity, changed: asyncio.Event) -> None:
    await endpoint.channel.wait_for_state_change(state)
    changed.set()


async def _relay(signal: asyncio.Event, changed: asyncio.Event) -> None:
    await signal.wait()
    changed.set()
