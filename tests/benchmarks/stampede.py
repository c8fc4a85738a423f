"""Many people ask the same thing at the same moment: how often does the model think about it?

    python -m tests.benchmarks.stampede [--callers 100] [--latency-ms 1500] [--rounds 1]

A mesh of its own runs three replicas of conversation and three of semantic_cache on this machine, with the simulator
as the model, which takes so long to begin that all callers overlap. In each scenario every caller has a conversation
of its own, and all ask one question that nobody asked before, at once, through all replicas of the front door:

    calm            nothing breaks
    leader killed   the conversation replica that has the answer made is ended with SIGKILL while the model writes
    cache killed    a cache replica is ended with SIGKILL, with those who wait there and whatever it knows

What was killed runs again before the next scenario. A caller whose call is lost repeats it with the same request_id,
as any client should; a turn that is not answered in 60 s counts as unanswered. `model calls` are those that reached the
simulator: one is the least there can be, and two after the death of the leader, whose answer is lost.

The last line of stdout is JSON: `model_calls`, `model_calls_leader_killed`, `model_calls_cache_killed` (the most of all
rounds), `unanswered`, and seconds until the last answer. The exit status is 1 if a scenario took more calls than that,
or a turn was not answered.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp
import uvloop

from agentmesh.auth.v1 import auth_pb2
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceStub
from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.plans import StackOptions
from libs.cli.stack.process import Process
from libs.cli.tenants import auth_channel, make_key
from libs.client.aio import AgentMesh
from libs.client.replies import Reply
from libs.core.errors import Code, MeshError
from libs.core.ids import new_request_id
from tests.benchmarks.load import print_figures, print_table

_REPLICAS: Final = {"conversation": 3, "semantic_cache": 3}
_USERS: Final = 10
_PLENTY: Final = 100_000_000
"""Calls a minute: the benchmark should meet no tenant's limit."""
_PATIENCE: Final = 60.0
_PAUSE: Final = 0.2
_LOST: Final = frozenset({Code.UNAVAILABLE, Code.ABORTED})
# About nothing that another one is about: no answer to one is an answer to another.
_QUESTIONS: Final = (
    "Why do cats purr when they are stroked?",
    "Which tools does a beginner need to carve a wooden spoon?",
    "How did sailors find their longitude before there were clocks at sea?",
    "What makes sourdough bread rise without yeast from a shop?",
    "Who decides where a new railway station is built?",
    "Is it true that glass flows slowly like a liquid?",
    "When should I prune an old apple tree?",
    "Explain the offside rule in football to a child.",
    "What was traded along the Silk Road?",
    "How do noise-cancelling headphones work?",
    "Name some poems that are good to learn by heart.",
    "Why is the sky dark at night although there are so many stars?",
)

Happening = Callable[["Town"], Awaitable[Sequence[Process]]]
"""What breaks while the model thinks; returns what has to be started again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question."""

    model_calls: int
    answered: int
    from_cache: int
    without_cache: int
    """Answered without it, because it did not answer in time."""
    seconds: tuple[float, ...]
    """Until each answer, sorted."""


class Town:
    """The mesh, and those who talk to it."""

    def __init__(self, mesh: LocalMesh, session: aiohttp.ClientSession, clients: Sequence[AgentMesh]) -> None:
        self.mesh: Final = mesh
        self._session: Final = session
        self._clients: Final = clients

    async def stampede(self, question: str, callers: int, happening: Happening) -> Outcome:
        """All ask at once; meanwhile something happens."""
        asking = [self._clients[number % len(self._clients)] for number in range(callers)]
        places = [(client, (await client.create_conversation()).conversation_id) for client in asking]
        async with self._session.post(f"{self.mesh.simulator_url}/admin/reset") as response:
            response.raise_for_status()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_ask(client, place, question, began)) for client, place in places]
            killed = await happening(self)
        answers = [answer for answer in (task.result() for task in tasks) if answer is not None]
        outcome = Outcome(
            await self.model_calls(),
            len(answers),
            sum(reply.route == "cache" for reply, _ in answers),
            sum("semantic_cache" in reply.degraded for reply, _ in answers),
            tuple(sorted(seconds for _, seconds in answers)),
        )
        await self._revive(killed)
        return outcome

    async def model_calls(self) -> int:
        """How many reached the simulator since the last reset."""
        async with self._session.get(f"{self.mesh.simulator_url}/admin/statistics") as response:
            counted = await response.json()
        return int(counted["calls"])

    async def leader(self) -> Process:
        """The conversation replica that has a call to the model router in flight."""
        for _ in range(round(_PATIENCE / 0.05)):
            for process in self.mesh.of("conversation"):
                if await self._generates(process):
                    return process
            await asyncio.sleep(0.05)
        raise RuntimeError("no conversation replica asked the model router")

    async def _generates(self, process: Process) -> bool:
        async with self._session.get(f"{self.mesh.admin_url(process)}/mesh") as response:
            channels = (await response.json())["channels"]
        router = self.mesh.target("model_router")
        return any(
            endpoint["in_flight"]
            for channel in channels
            if channel["target"] == router
            for endpoint in channel["endpoints"]
        )

    async def _revive(self, killed: Sequence[Process]) -> None:
        for process in killed:
            await process.start()
            await process.wait_ready(_PATIENCE)
        await self.mesh.wait_serving(_PATIENCE)


async def _ask(client: AgentMesh, conversation_id: str, question: str, began: float) -> tuple[Reply, float] | None:
    request_id = new_request_id()
    while time.perf_counter() - began < _PATIENCE:
        try:
            reply = await client.send(conversation_id, question, request_id=request_id)
        except MeshError as error:
            if error.code not in _LOST:
                say(f"a turn failed for good: {error}")
                return None
            await asyncio.sleep(_PAUSE)
        else:
            return reply, time.perf_counter() - began
    return None


async def nothing(town: Town) -> Sequence[Process]:
    """All is well."""
    return ()


async def kill_the_leader(town: Town) -> Sequence[Process]:
    """End the replica that has the answer made, once all the others wait for it."""
    leader = await town.leader()
    await asyncio.sleep(_SETTLED)
    say(f"  SIGKILL for {leader.plan.name}, which leads")
    town.mesh.kill(leader)
    return (leader,)


async def kill_a_cache(town: Town) -> Sequence[Process]:
    """End a replica of the cache in the same way."""
    await town.leader()
    await asyncio.sleep(_SETTLED)
    cache = town.mesh.of("semantic_cache")[0]
    say(f"  SIGKILL for {cache.plan.name}")
    town.mesh.kill(cache)
    return (cache,)


_SETTLED: Final = 0.5
"""Seconds after the first model call by which everybody has asked."""
SCENARIOS: Final[Mapping[str, tuple[Happening, int]]] = {
    "calm": (nothing, 1),
    "leader killed": (kill_the_leader, 2),
    "cache killed": (kill_a_cache, 1),
}
"""What happens, and how many model calls that may cost."""


async def make_users(mesh: LocalMesh) -> list[str]:
    """Credentials of the users of one new tenant."""
    async with auth_channel(mesh.target("auth"), mesh.secrets.root_key) as channel:
        limits = auth_pb2.RateLimits(tenant_per_minute=_PLENTY, user_per_minute=_PLENTY)
        request = auth_pb2.CreateTenantRequest(request_id=new_request_id(), display_name="stampede", rate_limits=limits)
        tenant = (await AuthServiceStub(channel).CreateTenant(request)).tenant.tenant_id
        return [await make_key(channel, tenant, f"user-{number}") for number in range(_USERS)]


async def measure(callers: int, latency_ms: float, rounds: int) -> dict[str, list[Outcome]]:
    """Every scenario, round after round."""
    settings = {"model_simulator": {"AGENTMESH_FIRST_TOKEN_MEDIAN_MS": f"{latency_ms:g}"}}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in SCENARIOS}
    questions = iter(_QUESTIONS)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentmesh-bench-")))
        say("starting three replicas of conversation and of semantic_cache, and the rest of the mesh ...")
        mesh = await stack.enter_async_context(LocalMesh(StackOptions(directory, _REPLICAS, settings=settings)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        keys = await make_users(mesh)
        clients = [await stack.enter_async_context(AgentMesh(mesh.conversation_target, key)) for key in keys]
        town = Town(mesh, session, clients)
        for number in range(rounds):
            for name, (happening, _) in SCENARIOS.items():
                say(f"round {number + 1}, {name}: {callers} callers")
                outcome = await town.stampede(next(questions), callers, happening)
                say(f"  {outcome.model_calls} model calls, {outcome.answered} answered")
                outcomes[name].append(outcome)
    return outcomes


def report(outcomes: Mapping[str, Sequence[Outcome]], callers: int) -> bool:
    """The table and the figures; whether everything is as it should be."""
    rows, unanswered, holds = [], 0, True
    figures: dict[str, object] = {}
    for name, measured in outcomes.items():
        calls = max(outcome.model_calls for outcome in measured)
        missing = sum(callers - outcome.answered for outcome in measured)
        last = max(outcome.seconds[-1] if outcome.seconds else _PATIENCE for outcome in measured)
        middle = median(seconds for outcome in measured for seconds in outcome.seconds or (_PATIENCE,))
        cached, without = (
            sum(counts) for counts in zip(*((o.from_cache, o.without_cache) for o in measured), strict=True)
        )
        answered = sum(outcome.answered for outcome in measured)
        rows.append((name, calls, answered, cached, without, f"{middle:.2f}", f"{last:.2f}"))
        suffix = "" if name == "calm" else f"_{name.replace(' ', '_')}"
        figures |= {f"model_calls{suffix}": calls, f"last_answer_s{suffix}": round(last, 2)}
        unanswered += missing
        holds = holds and not missing and calls <= SCENARIOS[name][1]
    print_table(("scenario", "model calls", "answered", "from the cache", "without it", "p50 s", "last s"), rows)
    print_figures(figures | {"callers": callers, "unanswered": unanswered})
    return holds


def say(line: str) -> None:
    """Progress, beside the results."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=100, help="how many ask at once (100)")
    parser.add_argument(
        "--latency-ms", type=float, default=1500, help="until the model's first token (1500); longer on a slow machine"
    )
    most = len(_QUESTIONS) // len(SCENARIOS)
    parser.add_argument("--rounds", type=int, choices=range(1, most + 1), default=1, help="of all scenarios (1)")
    arguments = parser.parse_args()
    if arguments.callers < 1 or arguments.latency_ms <= 0:
        parser.error("--callers and --latency-ms must be positive")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcomes = runner.run(measure(arguments.callers, arguments.latency_ms, arguments.rounds))
    sys.exit(0 if report(outcomes, arguments.callers) else 1)


if __name__ == "__main__":
    main()
