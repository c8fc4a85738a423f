import asyncio
import time

import pytest

from libs.testing.virtual_loop import DeadlockError, LoopClock, VirtualTimeLoop, run_virtual


def test_an_hour_takes_no_time() -> None:
    async def main() -> float:
        clock = LoopClock(asyncio.get_running_loop())
        before = clock.monotonic()
        await clock.sleep(3600)
        return clock.monotonic() - before

    started = time.perf_counter()
    assert run_virtual(main()) == pytest.approx(3600)
    assert time.perf_counter() - started < 5


def test_timers_fire_in_the_order_of_their_instants_and_see_them() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = LoopClock(asyncio.get_running_loop())
        start = clock.monotonic()
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((name, round(clock.monotonic() - start, 6)))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("now", 0.0), ("long", 100_000.0)):
                group.create_task(sleeper(name, seconds))
        return woken

    assert run_virtual(main()) == [("now", 0.0), ("a", 1.0), ("b", 2.0), ("c", 3.0), ("long", 100_000.0)]


def test_asyncio_timeouts_are_virtual_too() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await loop.create_future()
        return loop.time() - before

    assert run_virtual(main()) == pytest.approx(30)


def test_a_cancelled_sleep_leaves_no_timer_behind() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await LoopClock(loop).sleep(1000)
        await LoopClock(loop).sleep(1)
        return loop.time() - before

    assert run_virtual(main()) == pytest.approx(2)


def test_waiting_for_ever_is_an_error_and_no_hang() -> None:
    cleaned: list[str] = []

    async def main() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("main")

    with pytest.raises(DeadlockError):
        run_virtual(main())
    assert cleaned == ["main"]


def test_the_clock_shows_unix_time_as_well() -> None:
    async def main() -> float:
        clock = LoopClock(asyncio.get_running_loop(), epoch=1_000_000.0)
        await clock.sleep(5)
        return clock.time()

    assert run_virtual(main()) == pytest.approx(1_000_005.0)


def test_time_starts_where_one_likes() -> None:
    loop = VirtualTimeLoop(start=5.0)
    assert loop.time() == 5.0
    loop.close()
