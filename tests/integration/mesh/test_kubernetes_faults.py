"""Whatever goes wrong, and in whatever order: in the end the resolver knows what the API server knows."""

import asyncio
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.rng import new_rng
from libs.mesh.resolver.base import ResolvedSet
from libs.mesh.resolver.kubernetes import KubernetesResolver
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.testing.clock import ManualClock
from libs.testing.endpoint_slices import EndpointSlice, endpoint
from libs.testing.kubernetes_api import KubernetesApi, serving_kubernetes

Step = Callable[[KubernetesApi], None]


def put(name: str, hosts: list[int], service: str) -> Step:
    told = tuple(endpoint(f"10.0.0.{host}") for host in hosts)
    return lambda api: api.put(EndpointSlice(name=name, service=service, endpoints=told, ports={"grpc": 80}))


def delete(name: str) -> Step:
    return lambda api: api.delete(name)


def break_next(requests: int) -> Step:
    def step(api: KubernetesApi) -> None:
        api.broken = requests
        api.break_watches()

    return step


names = st.sampled_from("abc")
changes = st.builds(put, names, st.lists(st.integers(1, 5), max_size=3), st.sampled_from(["auth", "auth", "other"]))
faults = st.sampled_from(
    [
        KubernetesApi.bookmark,
        KubernetesApi.compact,
        KubernetesApi.end_watches,
        KubernetesApi.break_watches,
        break_next(2),
        lambda api: api.error(410, "Expired", "too old resource version"),
        lambda api: api.error(500, "InternalError", "etcd is away"),
        lambda api: api.send(b"nonsense\n"),
        lambda api: api.send(b'{"type":"ADDED","object":{}}\n'),
        lambda api: api.send(b'{"type":"ADDED",'),
        lambda api: None,
    ]
)
steps = st.lists(st.tuples(changes | st.builds(delete, names) | faults, st.integers(0, 6)), max_size=25)


async def play(chosen: list[tuple[Step, int]]) -> None:
    seen: list[ResolvedSet] = []
    async with serving_kubernetes() as api, asyncio.TaskGroup() as tasks:
        access = KubernetesAccess(url=api.url, token_file="", ca_file="", namespace_file="")
        said: list[str] = []
        resolver = KubernetesResolver(
            "auth", "default", "grpc", access, ManualClock(autojump=0.002), new_rng(1), said.append
        )

        async def follow() -> None:
            async for found in resolver.updates():
                assert found not in seen[-1:]
                seen.append(found)

        task = tasks.create_task(follow())
        for step, turns in chosen:
            step(api)
            await pause(turns)
        # What a bad line has left half said in the open watch is still to be ended.
        api.send(b"\n")
        last = put("z", [9], "auth")
        last(api)
        async with asyncio.timeout(5):
            while not seen or [each.address for each in seen[-1]] != expected(api):
                await pause(1)
        task.cancel()


def expected(api: KubernetesApi) -> list[str]:
    told = (each["addresses"] for found in api.slices("auth") for each in found.endpoints)
    return sorted({f"{address}:80" for addresses in told if isinstance(addresses, list) for address in addresses})


async def pause(turns: int) -> None:
    """Let what is on its way over the loopback arrive, or some of it."""
    for _ in range(turns):
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(steps)
def test_in_the_end_the_resolver_knows_what_the_server_knows(chosen: list[tuple[Step, int]]) -> None:
    asyncio.run(play(chosen))
