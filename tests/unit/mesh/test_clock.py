import asyncio

from libs.testing.clock import ManualClock


async def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 3.0))
        group.create_task(sleeper("b", 1.0, 1.0))
        await clock.run(2.5)
        assert woken == [("b", 1001.0), ("b", 1002.0)]
        assert clock.sleeping == 1
        await clock.run(0.5)
    assert woken[-1] == ("a", 1003.0)


async def test_autojump_moves_when_everything_is_quiet() -> None:
    clock = ManualClock(autojump=0.001)
    await asyncio.gather(clock.sleep(3600), clock.sleep(7200))
    assert clock.monotonic() == 1000 + 7200


async def test_unix_time_moves_along() -> None:
    clock = ManualClock(epoch=50.0)
    clock.advance(1.5)
    assert clock.time() == 51.5
