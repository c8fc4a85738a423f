import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.core.errors import MeshError
from libs.core.rng import new_rng
from libs.testing.virtual_loop import LoopClock, run_virtual
from services.semantic_cache.entry import Kept
from services.semantic_cache.flight import FlightOptions, Flights
from services.semantic_cache.leasing import Leases
from services.semantic_cache.ports import NewEntry, Opened, Standing
from tests.unit.semantic_cache.entries import entry_of, question
from tests.unit.semantic_cache.fake_store import FakeEntryStore

OPTIONS = FlightOptions(lease_seconds=5.0, first_look=0.02, slowest_look=0.25, waiting=150)
ASKED = question("How do I reset my password?")
KEY = ASKED.key
PATIENCE = 60.0


class World:
    """Replicas that share a store, on a loop whose time is virtual."""

    def __init__(self, replicas: int = 1, options: FlightOptions = OPTIONS) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.store = FakeEntryStore(self.clock, latency=0.001)
        self.replicas = [Flights(self.store, new_rng(number), options) for number in range(replicas)]
        self.begun = self.clock.monotonic()

    @property
    def flights(self) -> Flights:
        return self.replicas[0]

    @property
    def elapsed(self) -> float:
        return self.clock.monotonic() - self.begun

    async def lead(self) -> bytes:
        return (await self.store.open(KEY, OPTIONS.lease_seconds)).lease_token

    async def ask(self, replica: int = 0, patience: float = PATIENCE) -> Opened:
        opened = await self.store.open(KEY, OPTIONS.lease_seconds)
        if opened.standing is not Standing.HELD:
            return opened
        return await self.replicas[replica].wait(KEY, opened.asked_at, asyncio.get_running_loop().time() + patience)

    async def answer(self, token: bytes, replica: int | None = None) -> None:
        """Keep an answer; its own replica hears of it at once."""
        kept = Kept(entry_of(ASKED, asked_at=int.from_bytes(token[:8], "big")))
        await self.store.put(KEY, NewEntry(kept.entry, 100.0, "u1", lease_token=token))
        if replica is not None:
            self.replicas[replica].land(KEY, kept, kept.entry.asked_at)


def in_world(
    replicas: int = 1, options: FlightOptions = OPTIONS
) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[], None]]:
    def of(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
        async def main() -> None:
            await test(World(replicas, options))

        def run() -> None:
            run_virtual(main())

        run.__name__ = run.__qualname__ = getattr(test, "__name__", "test")
        return run

    return of


@pytest.mark.parametrize(
    ("first", "slowest", "lease"), [(0.0, 0.25, 5.0), (0.5, 0.25, 5.0), (0.02, 5.0, 5.0), (float("nan"), 0.25, 5.0)]
)
def test_looks_are_shorter_than_leases(first: float, slowest: float, lease: float) -> None:
    with pytest.raises(ValueError, match="first_look"):
        FlightOptions(lease, first, slowest)


@in_world()
async def test_a_hundred_waiters_cost_one_look_at_a_time(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask()) for _ in range(100)]
        await world.clock.sleep(2.0)
        assert world.flights.statistics()[:2] == (1, 100)
        world.store.calls.clear()
        await world.clock.sleep(1.0)
        assert world.store.calls["open"] <= 7
        await world.answer(token, replica=0)
    assert all(each.result().kept is not None for each in asking)
    assert world.flights.statistics() == (0, 0, 100, 0, 0)


@in_world()
async def test_who_waits_here_has_the_answer_when_it_lands_not_at_the_next_look(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.ask())
        await world.clock.sleep(3.0)
        await world.answer(token, replica=0)
        landed = world.elapsed
    assert world.elapsed == pytest.approx(landed, abs=0.001)


@in_world(replicas=3)
async def test_other_replicas_have_it_within_a_look(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 3)) for number in range(99)]
        await world.clock.sleep(3.0)
        await world.answer(token, replica=0)
        landed = world.elapsed
    assert world.elapsed - landed < 1.25 * OPTIONS.slowest_look + 0.01
    assert all(each.result().kept is not None for each in asking)
    assert [flights.statistics().landed for flights in world.replicas] == [33, 33, 33]


@in_world(replicas=3)
async def test_a_leader_that_died_is_replaced_once(world: World) -> None:
    await world.lead()
    led: list[Opened] = []

    async def caller(replica: int) -> Opened:
        opened = await world.ask(replica)
        if opened.standing is Standing.GRANTED:
            led.append(opened)
            await world.clock.sleep(1.0)
            await world.answer(opened.lease_token, replica)
        return opened

    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(caller(number % 3)) for number in range(100)]
    assert len(led) == 1
    assert sum(each.result().kept is not None for each in asking) == 99
    assert OPTIONS.lease_seconds < world.elapsed < OPTIONS.lease_seconds + 2.0
    assert sum(flights.statistics().took_over for flights in world.replicas) == 1


@in_world(replicas=2)
async def test_a_leader_that_says_it_failed_is_replaced_at_once(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 2, 4.0)) for number in range(20)]
        await world.clock.sleep(2.0)
        await Leases(world.store, world.flights).release(KEY, token, reusable=True)
        released = world.elapsed
        while not any(each.done() for each in asking):
            await world.clock.sleep(0.01)
        assert world.elapsed - released < 0.02
    assert [each.result().standing for each in asking].count(Standing.GRANTED) == 1


@in_world(replicas=2)
async def test_an_answer_for_nobody_else_sends_all_off(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 2)) for number in range(20)]
        await world.clock.sleep(2.0)
        await Leases(world.store, world.flights).release(KEY, token, reusable=False)
        released = world.elapsed
    assert {each.result().standing for each in asking} == {Standing.OPEN}
    assert world.elapsed - released < 1.25 * OPTIONS.slowest_look + 0.01
    # The next wave may share an answer again.
    assert (await world.ask()).standing is Standing.OPEN
    await world.clock.sleep(1.5)
    assert (await world.ask()).standing is Standing.GRANTED


@in_world()
async def test_a_lease_that_is_renewed_is_waited_for(world: World) -> None:
    token = await world.lead()
    leases = Leases(world.store, world.flights)
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask()) for _ in range(5)]
        for _ in range(5):
            await world.clock.sleep(3.0)
            assert await leases.renew(KEY, token)
        await world.answer(token, replica=0)
    assert world.elapsed > 3 * leases.seconds
    assert all(each.result().kept is not None for each in asking)


@in_world()
async def test_a_lease_that_went_to_another_is_not_renewed(world: World) -> None:
    leases = Leases(world.store, world.flights)
    token = await world.lead()
    await world.clock.sleep(leases.seconds + 0.1)
    other = await world.lead()
    assert not await leases.renew(KEY, token)
    await leases.release(KEY, token, reusable=True)
    assert world.store.leased(KEY)
    assert await leases.renew(KEY, other)


@in_world()
async def test_the_one_that_watches_passes_the_watch_on_when_it_leaves(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(world.ask())
        await world.clock.sleep(0.1)
        others = [tasks.create_task(world.ask()) for _ in range(3)]
        await world.clock.sleep(0.5)
        first.cancel()
        await world.clock.sleep(0.5)
        # Nobody here is told of it: it has to be seen.
        await world.answer(token)
        answered = world.elapsed
    assert first.cancelled()
    assert all(each.result().kept is not None for each in others)
    assert world.elapsed - answered < 1.25 * OPTIONS.slowest_look + 0.01


@in_world()
async def test_nobody_waits_longer_than_it_said(world: World) -> None:
    token = await world.lead()
    leases = Leases(world.store, world.flights)
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(patience=seconds)) for seconds in (0.5, 1.0, 1.0, 4.0)]
        await world.clock.sleep(4.01)
        assert all(each.done() for each in asking)
    # Told apart from "there will be nothing": they may ask again.
    assert {each.result().standing for each in asking} == {Standing.HELD}
    assert await leases.renew(KEY, token)
    assert world.flights.statistics() == (0, 0, 0, 0, 4)


@in_world(options=FlightOptions(waiting=2))
async def test_too_many_waiters_are_sent_off_at_once(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask()) for _ in range(5)]
        await world.clock.sleep(1.0)
        assert sum(each.done() for each in asking) == 3
        await world.answer(token, replica=0)
    assert [each.result().standing for each in asking].count(Standing.OPEN) == 3


@in_world()
async def test_a_lost_store_is_no_reason_to_wait(world: World) -> None:
    await world.lead()
    ends: list[Standing | MeshError] = []

    async def caller() -> None:
        try:
            ends.append((await world.ask()).standing)
        except MeshError as error:
            ends.append(error)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(caller())
        await world.clock.sleep(0.3)
        world.store.down = True
    # Who looked found out; the others are told, and do not find out one after the other.
    assert sum(isinstance(end, MeshError) for end in ends) == 1
    assert ends.count(Standing.OPEN) == 4
    assert world.elapsed < 1.0
    assert world.flights.statistics()[:2] == (0, 0)


@in_world()
async def test_who_comes_after_the_landing_asks_the_store(world: World) -> None:
    token = await world.lead()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.ask())
        await world.clock.sleep(0.1)
        await world.answer(token, replica=0)
    world.store.invalidate(KEY.tenant_id, b"")
    assert (await world.ask()).standing is Standing.GRANTED


@in_world()
async def test_what_nobody_waits_for_lands_nowhere(world: World) -> None:
    world.flights.land(KEY, Kept(entry_of(ASKED)), 1)
    world.flights.look(KEY)
    assert world.flights.statistics() == (0, 0, 0, 0, 0)
