"""The resolver against a server that speaks the API server's list and watch."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from libs.core.rng import new_rng
from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet
from libs.mesh.resolver.kubernetes import KubernetesResolver
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.testing.clock import ManualClock
from libs.testing.endpoint_slices import EndpointSlice, endpoint
from libs.testing.kubernetes_api import KubernetesApi, serving_kubernetes
from tests.integration.server.certificates import Authority


@pytest.fixture
async def api() -> AsyncIterator[KubernetesApi]:
    async with serving_kubernetes() as running:
        yield running


class Followed:
    """A resolver that is being iterated, and what came of it."""

    def __init__(self, access: KubernetesAccess, clock: ManualClock) -> None:
        self.failures: list[str] = []
        self.sets: asyncio.Queue[ResolvedSet] = asyncio.Queue()
        self.resolver = KubernetesResolver("auth", "default", "grpc", access, clock, new_rng(1), self.failures.append)

    async def follow(self) -> None:
        async for found in self.resolver.updates():
            self.sets.put_nowait(found)

    async def next(self) -> list[str]:
        async with asyncio.timeout(5):
            return [each.address for each in await self.sets.get()]

    async def until_failures(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.failures) < count:
                await _turn()


async def _turn() -> None:
    """Let what is on its way over the loopback arrive."""
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def access(url: str, *, token: str = "", ca: str = "") -> KubernetesAccess:
    return KubernetesAccess(url=url, token_file=token, ca_file=ca, namespace_file="")


@asynccontextmanager
async def following(
    where: KubernetesApi | KubernetesAccess, clock: ManualClock | None = None
) -> AsyncIterator[Followed]:
    """Follow until the block ends; by default time passes by itself whenever the resolver waits."""
    chosen = where if isinstance(where, KubernetesAccess) else access(where.url)
    followed = Followed(chosen, clock or ManualClock(autojump=0.005))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(followed.follow())
        yield followed
        task.cancel()


def pods(name: str, *hosts: int, service: str = "auth", namespace: str = "default") -> EndpointSlice:
    found = tuple(endpoint(f"10.0.0.{host}", zone="a") for host in hosts)
    return EndpointSlice(name=name, service=service, endpoints=found, ports={"grpc": 80}, namespace=namespace)


async def test_the_list_comes_first_then_every_change(api: KubernetesApi) -> None:
    api.put(pods("one", 1, 2), pods("other", 9, service="memory"), pods("far", 8, namespace="far"))
    async with following(api) as followed:
        async with asyncio.timeout(5):
            assert await followed.sets.get() == (
                ResolvedEndpoint("10.0.0.1:80", "a"),
                ResolvedEndpoint("10.0.0.2:80", "a"),
            )
        api.put(pods("two", 3))
        assert await followed.next() == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
        api.put(pods("one", 2))
        assert await followed.next() == ["10.0.0.2:80", "10.0.0.3:80"]
        api.delete("one")
        assert await followed.next() == ["10.0.0.3:80"]
        api.put(pods("two", 3, service="memory"))
        assert await followed.next() == []
        assert followed.failures == []
        assert len(api.lists) == 1


async def test_a_service_that_does_not_exist_has_no_endpoints_yet(api: KubernetesApi) -> None:
    async with following(api) as followed:
        assert await followed.next() == []
        api.put(pods("one", 1))
        assert await followed.next() == ["10.0.0.1:80"]


async def test_what_changes_nothing_is_not_told(api: KubernetesApi) -> None:
    api.put(pods("one", 1, 2))
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.put(pods("one", 2, 1))
        api.put(pods("another", 1))
        api.bookmark()
        api.put(pods("one", 3))
        assert await followed.next() == ["10.0.0.1:80", "10.0.0.3:80"]
        assert followed.resolver.statistics().events == 4


async def test_a_watch_that_ends_is_taken_up_where_it_ended(api: KubernetesApi) -> None:
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.bookmark()
        api.end_watches()
        await api.until_watched(0)
        # Nobody watches this one.
        api.put(pods("one", 1))
        assert await followed.next() == ["10.0.0.1:80"]
        assert len(api.lists) == 1
        assert followed.failures == []
        assert followed.resolver.statistics().watches == 2


async def test_the_requests_are_what_the_api_asks_for(api: KubernetesApi) -> None:
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        listed, watched = api.requests
        selector = {"labelSelector": "kubernetes.io/service-name=auth"}
        assert listed.query == {**selector, "resourceVersion": "0"}
        seconds = int(watched.query["timeoutSeconds"])
        assert 90 <= seconds <= 150
        assert watched.query == {
            **selector,
            "watch": "1",
            "resourceVersion": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }


async def test_an_expired_version_is_listed_again_without_a_word(api: KubernetesApi) -> None:
    api.put(pods("one", 1))
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.break_watches()
        await api.until_watched(0)
        api.put(pods("one", 2))
        api.compact()
        assert await followed.next() == ["10.0.0.2:80"]


async def test_gone_as_a_status_and_as_an_event(api: KubernetesApi) -> None:
    api.put(pods("one", 1))
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.bookmark()
        api.end_watches()
        api.compact()
        await api.until_watched(0)
        await api.until_watched()
        assert len(api.lists) == 2
        api.error(410, "Expired", "too old resource version")
        await api.until_watched(0)
        await api.until_watched()
        assert [request.query.get("resourceVersion") for request in api.lists] == ["0", None, None]
        assert followed.failures == []
        api.put(pods("one", 2))
        assert await followed.next() == ["10.0.0.2:80"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"<html>\n", "not JSON"),
        (b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"9"},"endpoints":4}}\n', "not a list"),
        (b'{"type":"WHAT","object":{"metadata":{"resourceVersion":"9"}}}\n', "unknown event type 'WHAT'"),
        (b'{"type":"ERROR","object":{"code":500,"message":"etcd is away"}}\n', "500 etcd is away"),
    ],
)
async def test_nonsense_is_said_and_everything_listed_again(api: KubernetesApi, line: bytes, said: str) -> None:
    if b'"ADDED"' in line:
        line = line.replace(b'"endpoints"', b'"addressType":"IPv4","ports":[{"name":"grpc","port":1}],"endpoints"')
    api.put(pods("one", 1))
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.send(line)
        await api.until_watched(0)
        await api.until_watched()
        assert len(followed.failures) == 1
        assert said in followed.failures[0]
        api.put(pods("one", 2))
        assert await followed.next() == ["10.0.0.2:80"]
        assert followed.resolver.statistics().last_error == ""


async def test_a_broken_connection_keeps_the_set(api: KubernetesApi) -> None:
    api.put(pods("one", 1))
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
        api.broken = 3
        api.break_watches()
        await api.until_watched(0)
        await api.until_watched()
        assert len(followed.failures) == 4
        assert "answered 500 Internal Server Error: etcdserver: leader changed" in followed.failures[1]
        api.put(pods("one", 2))
        assert await followed.next() == ["10.0.0.2:80"]
        assert followed.sets.empty()


async def test_retries_back_off(api: KubernetesApi) -> None:
    clock = ManualClock()
    api.broken = 1000
    async with following(api, clock) as followed:
        assert await followed.next() == []
        began = clock.monotonic()
        instants = []
        for count in range(1, 8):
            await followed.until_failures(count)
            instants.append(clock.monotonic() - began)
            while not clock.sleeping:
                await _turn()
            while clock.sleeping:
                clock.advance(0.05)
                await _turn()
        waits = [later - earlier for earlier, later in pairwise(instants)]
        for wait, planned in zip(waits, (0.8, 1.6, 3.2, 6.4, 12.8, 25.6), strict=True):
            assert planned * 0.5 <= wait <= planned * 1.5 + 0.5


async def test_a_watch_that_ends_at_once_is_not_hammered(api: KubernetesApi) -> None:
    async with following(api, ManualClock()) as followed:
        await followed.next()
        await api.until_watched()
        api.end_watches()
        await followed.until_failures(1)
        assert followed.failures == ["the watch ended at once and brought nothing"]
        assert len(api.requests) == 2


async def test_nobody_there_is_no_endpoints_until_there_is() -> None:
    async with following(access("http://127.0.0.1:1")) as followed:
        assert await followed.next() == []
        await followed.until_failures(2)
        assert "Cannot connect" in followed.failures[0]


async def test_a_missing_role_is_named(api: KubernetesApi) -> None:
    api.forbidden = True
    async with following(api) as followed:
        assert await followed.next() == []
        assert (
            "403 Forbidden: the ServiceAccount needs a Role that allows list and watch of endpointslices"
            in (followed.failures[0])
        )
        api.forbidden = False
        api.put(pods("one", 1))
        assert await followed.next() == ["10.0.0.1:80"]


async def test_the_token_is_read_for_every_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    async with serving_kubernetes("first") as api, following(access(api.url, token=str(token))) as followed:
        await followed.next()
        await api.until_watched()
        api.token = "second"
        token.write_text("second\n")
        api.bookmark()
        api.end_watches()
        await api.until_watched(0)
        await api.until_watched()
        assert followed.failures == []
        assert [request.authorization for request in api.requests] == [
            "Bearer first",
            "Bearer first",
            "Bearer second",
        ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot read the token in"), ("a\nb", "is not a token"), ("wrong", "is missing or not accepted")],
)
async def test_a_bad_token_is_said_without_being_shown(tmp_path: Path, content: str | None, said: str) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    async with serving_kubernetes("right") as api:
        api.put(pods("one", 1))
        async with following(access(api.url, token=str(token))) as followed:
            assert await followed.next() == []
            assert said in followed.failures[0]
            assert "wrong" not in followed.failures[0]
            token.write_text("right")
            assert await followed.next() == ["10.0.0.1:80"]


async def test_a_port_that_no_slice_has_is_said_once(api: KubernetesApi) -> None:
    wrong = EndpointSlice(name="one", service="auth", endpoints=(endpoint("10.0.0.1"),), ports={"http": 80})
    api.put(wrong)
    async with following(api) as followed:
        assert await followed.next() == []
        await api.until_watched()
        api.put(wrong)
        api.put(pods("one", 1))
        assert await followed.next() == ["10.0.0.1:80"]
        assert followed.failures == ["auth.default.svc: no port is named 'grpc', only 'http'"]


async def test_the_server_must_be_the_one_that_the_certificates_vouch_for(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    pair = authority.issue("api")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with serving_kubernetes(tls=tls) as api:
        api.put(pods("one", 1))
        async with following(access(api.url, ca=str(authority.certificate))) as followed:
            assert await followed.next() == ["10.0.0.1:80"]
        async with following(access(api.url, ca=str(other.certificate))) as followed:
            assert await followed.next() == []
            assert "CERTIFICATE_VERIFY_FAILED" in followed.failures[0]
        async with following(access(api.url, ca=str(tmp_path / "none"))) as followed:
            assert await followed.next() == []
            assert f"cannot use the certificates in {tmp_path / 'none'}" in followed.failures[0]


async def test_cancelling_and_closing_end_the_connection(api: KubernetesApi) -> None:
    async with following(api) as followed:
        await followed.next()
        await api.until_watched()
    async with asyncio.timeout(5):
        await api.until_watched(0)
    resolver = Followed(access(api.url), ManualClock()).resolver
    async with aclosing(resolver.updates()) as updates:
        assert await anext(updates) == ()
        api.put(pods("one", 1))
        assert len(await anext(updates)) == 1
        assert api.watching == 1
    async with asyncio.timeout(5):
        await api.until_watched(0)


async def test_many_slices_of_many_pods(api: KubernetesApi) -> None:
    def full(number: int) -> EndpointSlice:
        found = tuple(endpoint(f"10.{number}.{host // 250}.{host % 250}", ready=True) for host in range(1000))
        return EndpointSlice(name=f"s{number}", service="auth", endpoints=found, ports={"grpc": 80})

    api.put(full(0))
    async with following(api) as followed:
        assert len(await followed.next()) == 1000
        await api.until_watched()
        api.put(full(1))
        assert len(await followed.next()) == 2000
