"""`agentmesh mesh`: every channel of the running mesh and its endpoints, in a table that keeps itself up to date."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypedDict, cast

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.table import Table

from libs.cli.state import MeshState, ProcessState
from libs.core.clock import Clock

_HEADINGS: Final = (
    "process",
    "peer",
    "endpoint",
    "policy",
    "zone",
    "state",
    "cost",
    "in flight",
    "/s",
    "attempts",
    "failed",
    "opened",
    "ejected",
)
_COLOURS: Final[Mapping[str, str]] = {"CLOSED": "green", "HALF_OPEN": "yellow", "OPEN": "red", "EJECTED": "magenta"}
_TIMEOUT: Final = aiohttp.ClientTimeout(total=1.0)


class EndpointRow(TypedDict):
    """An endpoint as the admin page /mesh tells it."""

    address: str
    zone: str
    weight: float
    state: Literal["CLOSED", "HALF_OPEN", "OPEN", "EJECTED"]
    cost: float
    in_flight: int
    limit: int | None
    attempts: int
    failures: int
    times_opened: int
    ejections: int


class ChannelRow(TypedDict):
    """A channel as the admin page /mesh tells it."""

    target: str
    policy: str
    calls: int
    retries: int
    retries_left: float
    shed: int
    panicking: bool
    endpoints: list[EndpointRow]


Snapshot = Mapping[str, Sequence[ChannelRow] | None]
"""Channels by process; None for a process that did not answer."""


async def mesh(state: MeshState, console: Console, clock: Clock, *, once: bool, interval: float) -> None:
    """Draw the channels until interrupted, or once.

    Args:
        state: where the processes are.
        console: where to draw.
        clock: paces the drawing.
        once: draw one table and return.
        interval: seconds between two looks.
    """
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        names = {process.grpc: process.name for process in state.processes if process.grpc}
        before = await _look(session, state.processes)
        if once:
            console.print(table(before, {}, interval, names))
            return
        with Live(table(before, {}, interval, names), console=console, auto_refresh=False) as live:
            looked_at = clock.monotonic()
            while True:
                await clock.sleep(interval)
                now = await _look(session, state.processes)
                passed, looked_at = clock.monotonic() - looked_at, clock.monotonic()
                live.update(table(now, before, passed, names), refresh=True)
                before = now


def table(now: Snapshot, before: Snapshot, seconds: float, names: Mapping[str, str]) -> Table:
    """One row per process, channel and endpoint.

    Args:
        now: what the processes say.
        before: what they said `seconds` ago, for the attempts a second; may be empty.
        seconds: between the two.
        names: of processes by their address; an endpoint that is none of them is shown by its channel's target.
    """
    drawn = Table(header_style="bold")
    for heading in _HEADINGS:
        drawn.add_column(heading, justify="right" if heading in _HEADINGS[6:] else "left")
    earlier = {
        (process, index, endpoint["address"]): endpoint["attempts"]
        for process, channels in before.items()
        for index, channel in enumerate(channels or ())
        for endpoint in channel["endpoints"]
    }
    for process, channels in now.items():
        if channels is None:
            drawn.add_row(process, "[red]does not answer[/red]")
            continue
        for index, channel in enumerate(channels):
            for endpoint in channel["endpoints"]:
                past = earlier.get((process, index, endpoint["address"]))
                rate = "" if past is None else f"{max(0, endpoint['attempts'] - past) / seconds:.0f}"
                peer = names.get(endpoint["address"], channel["target"])
                drawn.add_row(process, peer, *_cells(channel, endpoint, rate))
    return drawn


def _cells(channel: ChannelRow, endpoint: EndpointRow, rate: str) -> tuple[str, ...]:
    colour = _COLOURS[endpoint["state"]]
    limit = "" if endpoint["limit"] is None else f"/{endpoint['limit']}"
    policy = channel["policy"] + (" [red]panic[/red]" if channel["panicking"] else "")
    return (
        endpoint["address"],
        policy,
        endpoint["zone"],
        f"[{colour}]{endpoint['state']}[/{colour}]",
        f"{endpoint['cost']:.4g}",
        f"{endpoint['in_flight']}{limit}",
        rate,
        str(endpoint["attempts"]),
        str(endpoint["failures"]),
        str(endpoint["times_opened"]),
        str(endpoint["ejections"]),
    )


async def _look(session: aiohttp.ClientSession, processes: Sequence[ProcessState]) -> Snapshot:
    seen = await asyncio.gather(*(_channels(session, process) for process in processes if process.admin))
    names = (process.name for process in processes if process.admin)
    return dict(zip(names, seen, strict=True))


async def _channels(session: aiohttp.ClientSession, process: ProcessState) -> Sequence[ChannelRow] | None:
    try:
        async with session.get(f"http://{process.admin}/mesh") as response:
            if response.status != 200:
                return ()
            return cast("Sequence[ChannelRow]", (await response.json())["channels"])
    except (aiohttp.ClientError, TimeoutError):
        return None
