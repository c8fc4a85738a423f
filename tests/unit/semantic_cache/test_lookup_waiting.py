import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.testing.virtual_loop import LoopClock, run_virtual
from services.semantic_cache.judging import Verdict
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.scope import Question
from tests.unit.semantic_cache.entries import question
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.replica import Replica, replica

ASKED = question("How do I reset my password?")
REPHRASED = question("How can I reset the password?")
PATIENCE = 60.0
MAKING = 3.0


class World:
    """Three replicas with all that they do in the background, on a loop whose time is virtual."""

    def __init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.store = FakeEntryStore(self.clock, latency=0.001)
        self.replicas = [replica(self.clock, self.store, seed=number) for number in range(3)]
        self.made = 0

    async def ask(self, at: int, asked: Question = ASKED, *, dies: bool = False) -> Outcome:
        """What the conversation service does: on a miss it has an answer made and puts it."""
        cache = self.replicas[at]
        outcome = await cache.lookup(asked, max_wait=PATIENCE)
        if outcome.entry is None and not dies:
            self.made += 1
            await self.clock.sleep(MAKING)
            await cache.put(asked, f"answer {self.made}", lease_token=outcome.lease_token, receipt=outcome.receipt)
        return outcome


def in_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(run)
                for cache in world.replicas
                for run in (cache.follower.run(), cache.backlog.run())
            ]
            await world.clock.sleep(0.01)
            await test(world)
            for task in background:
                task.cancel()

    def run() -> None:
        run_virtual(main())

    run.__name__ = run.__qualname__ = getattr(test, "__name__", "test")
    return run


@in_world
async def test_a_hundred_equal_questions_through_three_replicas_make_one_answer(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 3)) for number in range(100)]
    outcomes = [each.result() for each in asking]
    assert world.made == 1
    hits = [outcome for outcome in outcomes if outcome.entry is not None]
    assert len(hits) == 99
    assert all(hit.waited for hit in hits)
    assert {hit.entry.answer for hit in hits if hit.entry is not None} == {"answer 1"}


@in_world
async def test_a_leader_that_dies_costs_one_more(world: World) -> None:
    assert (await world.ask(0, dies=True)).lease_token
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 3)) for number in range(100)]
    assert world.made == 1
    assert sum(each.result().entry is not None for each in asking) == 99


@in_world
async def test_who_comes_later_does_not_wait(world: World) -> None:
    await world.ask(0)
    for at in (0, 1):
        outcome = await world.ask(at)
        assert outcome.entry is not None
        assert not outcome.waited


@in_world
async def test_a_question_that_was_answered_by_meaning_meanwhile_ends_the_wait(world: World) -> None:
    """Of two that ask at once the first gets the lease, and finds that it needs none."""
    await world.ask(0)
    world.replicas[1].embedder.slow = world.clock, 0.5
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(at, REPHRASED)) for at in (1, 1, 2)]
    outcomes = [each.result() for each in asking]
    assert [outcome.layer for outcome in outcomes] == [Layer.SEMANTIC] * 3
    assert sorted(outcome.waited for outcome in outcomes) == [False, True, True]
    assert world.made == 1


@in_world
async def test_each_who_waits_judges_what_landed_by_itself(world: World) -> None:
    await world.ask(0)
    cache = world.replicas[1]
    cache.embedder.slow = world.clock, 0.5
    cache.judge.verdicts += [Verdict.SERVE, Verdict.SERVE, Verdict.MISS]
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(cache.lookup(REPHRASED, max_wait=PATIENCE)) for _ in range(3)]
    layers = [each.result().layer for each in asking]
    assert sorted(layer.value for layer in layers) == ["miss", "semantic", "semantic"]


@in_world
async def test_an_answer_of_its_own_that_came_meanwhile_is_not_hidden_by_a_similar_one(world: World) -> None:
    await world.ask(0)
    cache = world.replicas[1]
    cache.embedder.slow = world.clock, 0.5
    async with asyncio.TaskGroup() as tasks:
        searching = tasks.create_task(cache.lookup(REPHRASED))
        await world.clock.sleep(0.1)
        await cache.put(REPHRASED, "its own answer")
    for outcome in (searching.result(), await cache.lookup(REPHRASED)):
        assert outcome.layer is Layer.EXACT_MEMORY
        assert outcome.entry is not None
        assert outcome.entry.answer == "its own answer"


@pytest.mark.parametrize("verdict", [Verdict.AUDIT, Verdict.MISS])
def test_many_who_ask_what_is_not_served_any_more_make_one_answer(verdict: Verdict) -> None:
    @in_world
    async def test(world: World) -> None:
        await world.ask(0)
        assert (await world.ask(1, REPHRASED)).layer is Layer.SEMANTIC
        await world.clock.sleep(1.0)
        for cache in world.replicas:
            cache.judge.verdicts += [verdict] * 40
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(world.ask(number % 3, REPHRASED)) for number in range(99)]
        assert world.made == 2
        answers = [outcome.entry.answer for each in asking if (outcome := each.result()).entry is not None]
        assert answers == ["answer 2"] * 98

    test()


@in_world
async def test_nobody_waits_longer_than_it_said(world: World) -> None:
    await world.ask(0)
    await world.ask(1, REPHRASED)
    await world.clock.sleep(1.0)
    cache = world.replicas[1]
    cache.judge.verdicts += [Verdict.MISS] * 2
    leading = await cache.lookup(REPHRASED, max_wait=PATIENCE)
    assert leading.lease_token
    begun = world.clock.monotonic()
    outcome = await cache.lookup(REPHRASED, max_wait=2.0)
    assert (outcome.layer, outcome.held) == (Layer.WAITED, True)
    assert world.clock.monotonic() - begun == pytest.approx(2.0, abs=0.1)


@in_world
async def test_who_waits_learns_at_once_that_the_store_is_gone(world: World) -> None:
    await world.ask(0, dies=True)
    cache = world.replicas[1]
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(cache.lookup(ASKED, max_wait=PATIENCE)) for _ in range(50)]
        await world.clock.sleep(0.5)
        world.store.down = True
        begun = world.clock.monotonic()
    assert world.clock.monotonic() - begun < 1.0
    assert all(each.result().entry is None for each in asking)


@in_world
async def test_a_lookup_that_is_called_off_gives_its_lease_to_the_next(world: World) -> None:
    await world.ask(0)
    cache = world.replicas[1]
    cache.embedder.slow = world.clock, 2.0
    cache.judge.verdicts.append(Verdict.MISS)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(cache.lookup(REPHRASED, max_wait=PATIENCE))
        await world.clock.sleep(0.5)
        second = tasks.create_task(cache.lookup(REPHRASED, max_wait=PATIENCE))
        await world.clock.sleep(0.5)
        assert world.store.leased(REPHRASED.key)
        first.cancel()
        begun = world.clock.monotonic()
    assert second.result().lease_token
    # Its own search, and no wait for the end of the first one's lease.
    assert world.clock.monotonic() - begun < 2.5


@in_world
async def test_who_does_not_wait_is_not_kept_waiting(world: World) -> None:
    await world.ask(0, dies=True)
    begun = world.clock.monotonic()
    outcome = await world.replicas[1].lookup(ASKED)
    assert (outcome.entry, outcome.lease_token) == (None, b"")
    assert world.clock.monotonic() - begun < 0.1


@in_world
async def test_an_answer_that_was_invalidated_while_it_was_made_is_made_again(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(world.ask(number % 3)) for number in range(9)]
        await world.clock.sleep(MAKING / 2)
        tasks.create_task(world.replicas[2].invalidator.invalidate("t1", ASKED.key.entry))
    # The first one has its answer, the others the one that was begun afterwards.
    assert world.made == 2
    entries = [outcome.entry for outcome in (each.result() for each in asking) if outcome.entry is not None]
    assert [entry.answer for entry in entries] == ["answer 2"] * 7


@in_world
async def test_what_landed_for_earlier_callers_is_not_given_to_one_who_began_after_its_end(world: World) -> None:
    """The reply to the one that keeps it takes longer than an invalidation."""
    cache, other = world.replicas[0], world.replicas[1]
    leader = await cache.lookup(ASKED, max_wait=PATIENCE)
    async with asyncio.TaskGroup() as tasks:
        world.store.latency = 2.0
        put = tasks.create_task(cache.put(ASKED, "old", lease_token=leader.lease_token, receipt=leader.receipt))
        await world.clock.sleep(2.5)
        world.store.latency = 0.001
        await other.invalidator.invalidate("t1", ASKED.key.entry)
        leads = await other.lookup(ASKED, max_wait=PATIENCE)
        assert leads.lease_token
        late = tasks.create_task(cache.lookup(ASKED, max_wait=PATIENCE))
        await put
    assert late.result().entry is None


@pytest.mark.parametrize("waiting", [0])
def test_where_nobody_may_wait_everybody_makes_their_own(waiting: int) -> None:
    async def main() -> list[Outcome]:
        clock = LoopClock(asyncio.get_running_loop())
        cache: Replica = replica(clock, FakeEntryStore(clock), waiting=waiting)
        return [await cache.lookup(ASKED, max_wait=PATIENCE) for _ in range(3)]

    first, *others = run_virtual(main())
    assert first.lease_token
    assert all((outcome.entry, outcome.lease_token) == (None, b"") for outcome in others)


@in_world
async def test_who_waited_in_vain_is_told_whether_to_ask_again(world: World) -> None:
    leads = await world.ask(0, dies=True)
    outcome = await world.replicas[1].lookup(ASKED, max_wait=1.0)
    assert (outcome.layer, outcome.held, outcome.lease_token) == (Layer.WAITED, True, b"")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(world.replicas[1].lookup(ASKED, max_wait=PATIENCE))
        await world.clock.sleep(0.5)
        await world.replicas[0].leases.release(ASKED.key, leads.lease_token, reusable=False)
    assert (waiting.result().layer, waiting.result().held) == (Layer.WAITED, False)
    assert waiting.result().receipt is not None
