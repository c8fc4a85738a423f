import asyncio
import socket
from collections.abc import AsyncIterator, Iterable

from libs.core.rng import new_rng
from libs.mesh.resolver.dns import DnsResolver
from libs.mesh.resolver.static import StaticResolver
from libs.mesh.target import Address, parse_target
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


async def sets(names: FakeNames, seconds: float, failures: list[str] | None = None) -> list[tuple[str, ...]]:
    clock = ManualClock()
    said = failures if failures is not None else []
    resolver = DnsResolver(Address("svc", 80), 5.0, clock, new_rng(1), said.append, names)
    seen: list[tuple[str, ...]] = []

    async def collect(updates: AsyncIterator[tuple[str, ...]]) -> None:
        async for addresses in updates:
            seen.extend([addresses])

    async with asyncio.TaskGroup() as group:
        collector = group.create_task(collect(resolver.updates()))
        await clock.run(seconds)
        collector.cancel()
    return seen


async def test_static_yields_once() -> None:
    resolver = StaticResolver(parse_target("static:///b:2,a:1"))
    assert [addresses async for addresses in resolver.updates()] == [("a:1", "b:2")]
    assert resolver.known() == ("a:1", "b:2")


async def test_dns_follows_changes() -> None:
    names = FakeNames(["10.0.0.2", "10.0.0.1", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.3"])
    assert await sets(names, 20) == [("10.0.0.1:80", "10.0.0.2:80"), ("10.0.0.3:80",)]


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
