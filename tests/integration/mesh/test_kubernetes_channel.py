"""A channel that follows a service's pods through the Kubernetes API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest

from libs.core.rng import new_rng
from libs.mesh.channel import MeshChannel
from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.options import MeshOptions
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.testing.endpoint_slices import EndpointSlice, endpoint
from libs.testing.inprocess import serving
from libs.testing.kubernetes_api import KubernetesApi, serving_kubernetes
from tests.integration.mesh.echo import Echo, EchoStub


@asynccontextmanager
async def pods(*services: Echo) -> AsyncIterator[list[int]]:
    """Servers on ports of their own."""
    async with AsyncExitStack() as stack:
        yield [
            int((await stack.enter_async_context(serving(service.registration()))).address.rpartition(":")[2])
            for service in services
        ]


def pod(name: str, port: int, *, draining: bool = False) -> EndpointSlice:
    """A slice of one pod: all are on one host here, so each has its own number under the port's name."""
    told = endpoint("127.0.0.1", ready=not draining, serving=True, terminating=draining, zone="a")
    return EndpointSlice(name=name, service="echo", endpoints=(told,), ports={"grpc": port})


def followed(api: KubernetesApi, target: str = "k8s:///echo.default:grpc", namespace_file: str = "") -> MeshChannel:
    access = KubernetesAccess(url=api.url, token_file="", ca_file="", namespace_file=namespace_file)
    return MeshChannel(target, MeshOptions(kubernetes=access, policy="round_robin", slow_start=None), rng=new_rng(1))


async def until(channel: MeshChannel, ports: set[int]) -> None:
    """Wait until the channel's endpoints are these."""
    async with asyncio.timeout(5):
        while {int(each.address.rpartition(":")[2]) for each in channel.statistics().endpoints} != ports:
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_pods_come_and_go_without_a_failed_call() -> None:
    old, new = Echo(), Echo()
    async with serving_kubernetes() as api, pods(old, new) as (first, second):
        api.put(pod("a", first))
        async with followed(api) as channel:
            stub = EchoStub(channel)
            assert await stub.unary(b"x") == b"x"
            api.put(pod("b", second))
            await until(channel, {first, second})
            for _ in range(10):
                await stub.unary(b"x")
            assert (old.calls, new.calls) == (6, 5)
            # As a rollout goes: the old pod drains, then it is gone.
            api.put(pod("a", first, draining=True))
            await until(channel, {second})
            before = old.calls
            for _ in range(10):
                await stub.unary(b"x")
            assert old.calls == before
            api.delete("a")
            api.put(pod("b", second, draining=True))
            assert await stub.unary(b"still") == b"still"


async def test_a_service_without_pods_is_unavailable_until_there_is_one() -> None:
    async with serving_kubernetes() as api, pods(Echo()) as (port,), followed(api) as channel:
        stub = EchoStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.unary(b"x", timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        api.put(pod("a", port))
        await until(channel, {port})
        assert await stub.unary(b"x") == b"x"


async def test_calls_go_on_while_the_api_server_is_away() -> None:
    async with pods(Echo()) as (port,), AsyncExitStack() as stack:
        api = await stack.enter_async_context(serving_kubernetes())
        api.put(pod("a", port))
        async with followed(api) as channel:
            stub = EchoStub(channel)
            assert await stub.unary(b"x") == b"x"
            await stack.aclose()
            assert await stub.unary(b"y") == b"y"


async def test_a_target_without_a_namespace_is_in_the_callers_own(tmp_path: Path) -> None:
    own = tmp_path / "namespace"
    own.write_text("default")
    async with serving_kubernetes() as api, pods(Echo()) as (port,):
        api.put(pod("a", port))
        async with followed(api, f"k8s:///echo:{port}", str(own)) as channel:
            assert await EchoStub(channel).unary(b"x") == b"x"
        with pytest.raises(InvalidConfigurationError, match="the target names no namespace"):
            followed(api, f"k8s:///echo:{port}")
