"""The connectivity of several endpoints as if they were one channel."""

import asyncio
from collections.abc import Sequence

import grpc

from libs.mesh.endpoint import Endpoint

_BEST_FIRST = (
    grpc.ChannelConnectivity.READY,
    grpc.ChannelConnectivity.CONNECTING,
    grpc.ChannelConnectivity.IDLE,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
)


def aggregate(endpoints: Sequence[Endpoint], try_to_connect: bool) -> grpc.ChannelConnectivity:
    """The best state of any endpoint, as gRPC's own round robin has it; CONNECTING while there is none."""
    states = {endpoint.channel.get_state(try_to_connect) for endpoint in endpoints}
    return next((state for state in _BEST_FIRST if state in states), grpc.ChannelConnectivity.CONNECTING)


async def wait_for_any_change(endpoints: Sequence[Endpoint], signal: asyncio.Event) -> None:
    """Wait until an endpoint's state is another one than now, or until `signal` is set."""
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(_watch(endpoint, changed)) for endpoint in endpoints]
        waiting.append(group.create_task(_relay(signal, changed)))
        await changed.wait()
        for task in waiting:
            task.cancel()


async def _watch(endpoint: Endpoint, changed: asyncio.Event) -> None:
    await endpoint.channel.wait_for_state_change(endpoint.channel.get_state())
    changed.set()


async def _relay(signal: asyncio.Event, changed: asyncio.Event) -> None:
    await signal.wait()
    changed.set()
