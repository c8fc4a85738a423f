import asyncio
import socket
from collections.abc import AsyncIterator, Iterable

from libs.core.rng import new_rng
from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet
from libs.mesh.resolver.dns import DnsResolver, DnsStatistics
from libs.mesh.resolver.static import StaticResolver
from libs.mesh.target import Address, StaticTarget, parse_target
from libs.testing.clock import ManualClock


class FakeNames:
    """What the name resolves to; None fails the look-up."""

    def __init__(self, *answers: Iterable[str] | None) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str) -> Iterable[str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise socket.gaierror(-2, "Name or service not known")
        return answer


def followed(names: FakeNames, clock: ManualClock, failures: list[str]) -> DnsResolver:
    return DnsResolver(Address("svc", 80), 5.0, clock, new_rng(1), failures.append, names)


def static(addresses: str) -> StaticTarget:
    target = parse_target(f"static:///{addresses}")
    assert isinstance(target, StaticTarget)
    return target


async def sets(names: FakeNames, seconds: float, failures: list[str] | None = None) -> list[tuple[str, ...]]:
    """The addresses of every set within some seconds."""
    clock = ManualClock()
    resolver = followed(names, clock, failures if failures is not None else [])
    seen: list[tuple[str, ...]] = []

    async def collect(updates: AsyncIterator[ResolvedSet]) -> None:
        async for found in updates:
            assert {(each.zone, each.weight) for each in found} <= {("", 1.0)}
            seen.extend([tuple(each.address for each in found)])

    async with asyncio.TaskGroup() as group:
        collector = group.create_task(collect(resolver.updates()))
        await clock.run(seconds)
        collector.cancel()
    return seen


async def test_static_yields_once() -> None:
    resolver = StaticResolver(static("b:2;zone=z;weight=2,a:1"))
    expected = (ResolvedEndpoint("a:1"), ResolvedEndpoint("b:2", "z", 2.0))
    assert [found async for found in resolver.updates()] == [expected]
    assert resolver.known() == expected
    assert resolver.authority == ""
    assert repr(resolver) == "<StaticResolver a:1, b:2>"


async def test_dns_follows_changes() -> None:
    names = FakeNames(["10.0.0.2", "10.0.0.1", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.3"])
    assert await sets(names, 20) == [("10.0.0.1:80", "10.0.0.2:80"), ("10.0.0.3:80",)]


async def test_dns_sees_what_is_added_and_what_is_removed() -> None:
    names = FakeNames(["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"], ["10.0.0.2"], [])
    assert await sets(names, 40) == [("10.0.0.1:80",), ("10.0.0.1:80", "10.0.0.2:80"), ("10.0.0.2:80",), ()]


async def test_dns_keeps_the_last_good_set() -> None:
    failures: list[str] = []
    assert await sets(FakeNames(["10.0.0.1"], None, None, ["10.0.0.1"]), 30, failures) == [("10.0.0.1:80",)]
    assert len(failures) == 2


async def test_dns_says_at_once_that_there_is_nothing() -> None:
    assert await sets(FakeNames(None, ["10.0.0.1"]), 10) == [(), ("10.0.0.1:80",)]


async def test_dns_prefers_ipv4() -> None:
    assert await sets(FakeNames(["::1", "127.0.0.1"]), 1) == [("127.0.0.1:80",)]
    assert await sets(FakeNames(["::1"]), 1) == [("[::1]:80",)]


async def test_the_refresh_is_jittered() -> None:
    names = FakeNames(*[[f"10.0.0.{n}"] for n in range(1, 200)])
    found = await sets(names, 500)
    assert 90 <= len(found) <= 112


async def test_failures_are_counted_and_forgotten_when_they_end() -> None:
    clock, failures = ManualClock(), list[str]()
    resolver = followed(FakeNames(None, ["10.0.0.1"]), clock, failures)
    updates = resolver.updates()
    assert await anext(updates) == ()
    assert "failing: [Errno -2] Name or service not known" in repr(resolver)
    async with asyncio.TaskGroup() as group:
        pending = group.create_task(anext_of(updates))
        await clock.run(10)
    assert pending.result() == (ResolvedEndpoint("10.0.0.1:80"),)
    assert resolver.statistics() == DnsStatistics(lookups=2, failures=1, last_error="")
    assert len(failures) == 1


async def anext_of(updates: AsyncIterator[ResolvedSet]) -> ResolvedSet:
    return await anext(updates)
