"""What the mesh adds to a turn: through every service, beside a bare echo and the bare SDK, in one run.

    python -m tests.benchmarks.turn [--turns 600] [--concurrency 128] [--rounds 5]

All sides run in turn, round after round, on the same machine with the same client process, so that their ratios hold
where absolute figures do not. The simulator answers at once. Each side is one closed loop:

    echo        a bare grpc.aio echo (one hop, no mesh)
    sdk         the bare anthropic SDK (aiohttp transport) against the simulator, no mesh
    exact hit   a conversation's first turn, answered by the exact cache: conversation, auth, cache, memory
    model call  a later turn of a conversation: conversation, auth, cache (a miss), memory, router, SDK, simulator
    first turn  a first turn with a question nobody asked before: as a model call, and the cache embeds the question
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import anthropic
import grpc
import uvloop

from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.tenants import make_local_tenant
from libs.client.aio import AgentMesh
from tests.benchmarks.echo_server import ECHO, echo_server
from tests.benchmarks.load import Round, closed_loop, print_figures, print_table

Call = Callable[[int], Awaitable[object]]
_QUESTION = "What does the cache answer?"
_MODEL = "claude-sonnet-5-5"
_MAKERS = 32
# As many as take about as long as the turns they are compared with: a shorter burst would flatter the echo.
_ECHOES_PER_TURN = 8


class MeshSides:
    """The sides that go through the mesh."""

    def __init__(self, client: AgentMesh) -> None:
        self._client = client
        self._fresh: list[str] = []
        self._talking: list[str] = []
        self._asked = 0

    async def talk(self, conversations: int) -> None:
        """Begin the conversations whose later turns are measured, and ask the question whose answer is to be reused."""
        await self._client.send((await self._client.create_conversation()).conversation_id, _QUESTION)
        for _ in range(conversations):
            conversation = await self._client.create_conversation()
            await self._client.send(conversation.conversation_id, "My name is Ada.")
            self._talking.append(conversation.conversation_id)

    async def make_fresh(self, turns: int) -> None:
        """Empty conversations, outside the measured time: only a first turn can be an exact hit or a first turn."""
        self._fresh = []

        async def make(number: int) -> None:
            self._fresh.append((await self._client.create_conversation()).conversation_id)

        await closed_loop(make, turns, _MAKERS, {})

    async def exact_hit(self, number: int) -> None:
        """A first turn whose question was asked before."""
        reply = await self._client.send(self._fresh.pop(), _QUESTION)
        if not reply.cache_layer.startswith("exact"):
            raise RuntimeError(f"not a hit but {reply}")

    async def model_call(self, number: int) -> None:
        """A later turn."""
        self._asked += 1
        conversation_id = self._talking.pop()
        reply = await self._client.send(conversation_id, f"What is the square of {self._asked}?")
        self._talking.append(conversation_id)
        if reply.route != "model" or reply.degraded:
            raise RuntimeError(f"no model answered: {reply}")

    async def first_turn(self, number: int) -> None:
        """A first turn with a new question."""
        self._asked += 1
        await self._client.send(self._fresh.pop(), f"Tell me about the number {self._asked}.")


def sdk_call(client: anthropic.AsyncAnthropic) -> Call:
    """The same question, asked without a mesh."""

    async def call(number: int) -> None:
        await client.messages.create(
            model=_MODEL,
            max_tokens=1024,
            messages=[{"role": "user", "content": f"What is the square of {number}?"}],
        )

    return call


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[Call, int]]:
    """A bare echo and the id of its server's process."""
    async with (
        echo_server() as (address, process),
        grpc.aio.insecure_channel(address, (("grpc.enable_http_proxy", 0),)) as channel,
    ):
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
        payload = b"x" * 100

        async def call(number: int) -> None:
            await method(payload)

        yield call, process


async def measure(arguments: argparse.Namespace) -> dict[str, list[Round]]:
    """Every side, round after round."""
    rounds: dict[str, list[Round]] = {}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentmesh-bench-")))
        mesh = await stack.enter_async_context(LocalMesh(StackOptions(directory, settings={"*": _SETTINGS})))
        key = await make_local_tenant(mesh.target("auth"), mesh.secrets.root_key)
        client = await stack.enter_async_context(AgentMesh(mesh.conversation_target, key))
        sdk = await stack.enter_async_context(
            anthropic.AsyncAnthropic(
                api_key="sk-sim-local-0000",
                base_url=mesh.simulator_url,
                max_retries=0,
                http_client=anthropic.DefaultAioHttpClient(),
            )
        )
        echo_call, echo_pid = await stack.enter_async_context(echo())
        watched = {process.plan.service: process.pid for process in mesh.processes}
        watched |= {"redis": mesh.redis.pid, "client": os.getpid(), "echo": echo_pid}
        sides = MeshSides(client)
        await sides.talk(arguments.concurrency)
        plan: list[tuple[str, Call, int]] = [
            # What is compared stands side by side, so that a machine that drifts drifts under both.
            ("echo", echo_call, _ECHOES_PER_TURN * arguments.turns),
            ("exact_hit", sides.exact_hit, arguments.turns),
            ("sdk", sdk_call(sdk), arguments.turns),
            ("model_call", sides.model_call, arguments.turns),
            ("first_turn", sides.first_turn, arguments.turns // 5),
        ]
        for number in range(arguments.rounds + 1):
            for name, call, calls in plan:
                wanted = calls if number else calls // 5
                if name in ("exact_hit", "first_turn"):
                    await sides.make_fresh(wanted)
                measured = await closed_loop(call, wanted, arguments.concurrency, watched)
                # The first round only warms up: connections, caches, the processor's clock.
                if number:
                    rounds.setdefault(name, []).append(measured)
    return rounds


# One log line per RPC belongs to what a turn costs; where it is written to does not.
_SETTINGS: Mapping[str, str] = {"AGENTMESH_LOG_LEVEL": "info"}


def report(rounds: Mapping[str, list[Round]]) -> None:
    """The table, where the processor time went, and the figures."""
    figures: dict[str, object] = {}
    rows = []
    for name, measured in rounds.items():
        per_second = median([one.per_second for one in measured])
        p50, p99 = (median([one.percentile_ms(share) for one in measured]) for share in (0.5, 0.99))
        cpu = median([one.cpu_ms_per_call for one in measured])
        rows.append((name.replace("_", " "), f"{per_second:.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:.2f}"))
        figures |= {f"{name}_per_s": round(per_second, 1), f"{name}_p50_ms": round(p50, 2)}
        figures |= {f"{name}_p99_ms": round(p99, 2), f"{name}_cpu_ms": round(cpu, 3)}
    print_table(("side", "per s", "p50 ms", "p99 ms", "cpu ms"), rows)
    print("\nprocessor time a call, ms")
    for name in ("exact_hit", "model_call", "first_turn"):
        spent = rounds[name][len(rounds[name]) // 2]
        shares = sorted(((1000 * cpu / spent.calls, who) for who, cpu in spent.cpu_seconds.items()), reverse=True)
        print(f"  {name.replace('_', ' ')}: " + ", ".join(f"{who} {ms:.2f}" for ms, who in shares if ms >= 0.01))
    for name, beside in (("exact_hit", "echo"), ("model_call", "sdk"), ("first_turn", "sdk")):
        ratios = [one.per_second / other.per_second for one, other in zip(rounds[name], rounds[beside], strict=True)]
        figures[f"{name}_vs_{beside}"] = round(median(ratios), 3)
    print()
    print_figures(figures)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=600, help="turns a side makes in a round")
    parser.add_argument("--concurrency", type=int, default=128, help="callers at a time")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one to warm up")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report(runner.run(measure(arguments)))


if __name__ == "__main__":
    main()
