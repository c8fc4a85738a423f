import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from libs.core.clock import SystemClock
from libs.telemetry import logs
from services.monitoring.aggregate import EVERYONE
from services.monitoring.broadcast import Broadcast
from services.monitoring.events import Event, Turn
from services.monitoring.ledger import UsageLedger
from services.monitoring.sampler import Sampler
from tests.unit.monitoring.fakes import DictSlices, VirtualClock

NOW = 1_800_000_000.0


class Watched:
    """A sampler over a ledger, and one viewer."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOW)
        self.store = DictSlices()
        self.ledger = UsageLedger(self.store, self.clock)
        self.broadcast = Broadcast(max_viewers=5)
        read = partial(self.ledger.overview, EVERYONE, 300)
        self.sampler = Sampler(read, self.broadcast, self.clock, 1.0, logs.get("test"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[AsyncIterator[bytes]]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.sampler.run())
            with self.broadcast.join(lambda: None) as viewer:
                yield viewer.__aiter__()
            task.cancel()


async def test_what_is_reported_shows_in_the_next_frame() -> None:
    watched = Watched()
    async with watched.running() as frames:
        first = json.loads(await anext(frames))
        await watched.ledger.record("b1", [Event("ta", NOW, Turn(20.0, cache_hit=True)), Event("tb", NOW, Turn(40.0))])
        watched.clock.advance(1)
        second = json.loads(await anext(frames))

    assert (first["state"], first["turns"], second["turns"], second["cache_hits"]) == ("live", 0, 2, 1)
    assert second["points"][-1]["turns"] == 2


async def test_a_lost_store_is_told_as_such_with_its_beginning_and_never_as_zeros() -> None:
    watched = Watched()
    watched.store.down = True
    async with watched.running() as frames:
        first = json.loads(await anext(frames))
        watched.clock.advance(1)
        second = json.loads(await anext(frames))
        watched.store.down = False
        watched.clock.advance(1)
        third = json.loads(await anext(frames))

    assert first == {"state": "store_unreachable", "at": NOW, "since": NOW}
    assert second == {"state": "store_unreachable", "at": NOW + 1, "since": NOW}
    assert third["state"] == "live"


async def test_the_end_of_the_sampler_is_the_end_for_its_viewers() -> None:
    watched = Watched()
    with watched.broadcast.join(lambda: None) as viewer:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watched.sampler.run())
            frames = viewer.__aiter__()
            await anext(frames)
            task.cancel()

        assert [frame async for frame in frames] == []


async def test_nobody_looks_at_the_store_while_nobody_watches() -> None:
    watched = Watched()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watched.sampler.run())
        for _ in range(5):
            await SystemClock().sleep(0)
        assert watched.store.reads == 0
        with watched.broadcast.join(lambda: None) as viewer:
            await anext(viewer.__aiter__())
            assert watched.store.reads == 1
        task.cancel()
