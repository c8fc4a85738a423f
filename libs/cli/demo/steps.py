"""The steps of the demo. Each does one thing a user would notice and says whether it came true."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from libs.cli.demo.help_desk import SYSTEM_PROMPT, inquiries
from libs.cli.stack.mesh import LocalMesh
from libs.cli.stack.process import Process
from libs.client.aio import AgentMesh
from libs.client.replies import Reply
from libs.core.clock import Clock

QUESTION: Final = "What is the capital of France?"
_SENDS: Final = 8
_CUSTOMERS: Final = 8


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step showed."""

    name: str
    ok: bool
    detail: str
    seconds: float
    model: str = ""
    cache_layer: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd_micros: int = 0
    saved_usd_micros: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """What steps play on."""

    mesh: LocalMesh
    client: AgentMesh
    clock: Clock
    echo: Callable[[str], None]
    """Shows text of an answer as it arrives."""


Step = Callable[[Stage], Awaitable[StepResult]]


async def streamed(stage: Stage) -> StepResult:
    """A fresh question, its answer streamed."""
    started = stage.clock.monotonic()
    conversation = await stage.client.create_conversation("demo: a question")
    reply, parts, first = await _stream(stage, conversation.conversation_id, QUESTION)
    ok = reply.route == "model" and parts >= 1 and reply.output_tokens > 0 and reply.cost_usd_micros > 0
    detail = f"{parts} parts, the first after {1000 * (first - started):.0f} ms"
    return _result("streamed answer", ok, detail, started, stage, reply)


async def exact_hit(stage: Stage) -> StepResult:
    """The same question in another conversation."""
    started = stage.clock.monotonic()
    reply = await _ask_anew(stage, QUESTION)
    ok = reply.cache_layer.startswith("exact") and reply.cost_usd_micros == 0 and reply.saved_usd_micros > 0
    return _result("same question", ok, "answered by the cache: the same text", started, stage, reply)


async def help_desk(stage: Stage) -> StepResult:
    """Two hundred customers ask about five things, each in other words: the cache learns what means the same."""
    started = stage.clock.monotonic()
    asked = inquiries()
    queue = iter(enumerate(asked))
    replies: dict[int, Reply] = {}

    async def ask() -> None:
        for number, inquiry in queue:
            conversation = await stage.client.create_conversation("demo: help desk", SYSTEM_PROMPT)
            replies[number] = await stage.client.send(conversation.conversation_id, inquiry.text)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CUSTOMERS):
            group.create_task(ask())
    found = [number for number, reply in replies.items() if reply.cache_layer == "semantic"]
    wrong = [number for number in found if asked[number].answer not in replies[number].text]
    late = [number for number in found if number >= len(asked) // 2]
    return StepResult(
        name="help desk",
        ok=bool(late) and not wrong,
        detail=f"{len(asked)} wordings of 5 questions: of the second half the cache answered {len(late)} of "
        f"{len(asked) - len(asked) // 2} by their meaning, {len(wrong)} of them wrongly",
        seconds=stage.clock.monotonic() - started,
        model=replies[0].model,
        cache_layer="semantic",
        input_tokens=sum(reply.input_tokens for reply in replies.values()),
        output_tokens=sum(reply.output_tokens for reply in replies.values()),
        cost_usd_micros=sum(reply.cost_usd_micros for reply in replies.values()),
        saved_usd_micros=sum(reply.saved_usd_micros for reply in replies.values()),
    )


async def remembered(stage: Stage) -> StepResult:
    """A follow-up whose answer stands in the conversation's history alone."""
    started = stage.clock.monotonic()
    conversation = await stage.client.create_conversation("demo: memory")
    await stage.client.send(conversation.conversation_id, "My name is Ada and I build analytical engines.")
    reply, _, _ = await _stream(stage, conversation.conversation_id, "What is my name?")
    ok = "Ada" in reply.text and reply.route == "model"
    return _result("follow-up", ok, "the answer needed what was said before", started, stage, reply)


async def job(stage: Stage) -> StepResult:
    """A turn as a job, watched to its end."""
    started = stage.clock.monotonic()
    conversation = await stage.client.create_conversation("demo: a job")
    submitted = await stage.client.submit_job(
        conversation.conversation_id, "Explain circuit breakers to a new colleague."
    )
    states: list[str] = []
    last = submitted
    async for update in stage.client.watch_job(submitted.job_id):
        states.append(update.state)
        last = update
    reply = last.reply
    if last.state != "succeeded" or reply is None:
        return StepResult("job", ok=False, detail=last.error or last.state, seconds=stage.clock.monotonic() - started)
    return _result("job", True, " -> ".join(states), started, stage, reply)


async def replica_killed(stage: Stage) -> StepResult:
    """SIGKILL for a conversation replica while it answers; every send is answered all the same, once."""
    started = stage.clock.monotonic()
    conversations = [await stage.client.create_conversation(f"demo: failover {index}") for index in range(_SENDS)]
    before = stage.client.channel.statistics().retries
    async with asyncio.TaskGroup() as group:
        sends = [
            group.create_task(stage.client.send(conversation.conversation_id, f"Question {index}: what is {index}?"))
            for index, conversation in enumerate(conversations)
        ]
        await stage.clock.sleep(_KILL_AFTER_SECONDS)
        in_flight = sum(not send.done() for send in sends)
        stage.mesh.kill(_busiest(stage))
    replies = [send.result() for send in sends]
    kept = [await stage.client.list_messages(conversation.conversation_id) for conversation in conversations]
    retries = stage.client.channel.statistics().retries - before
    ok = in_flight > 0 and retries > 0 and all(len(messages) == 2 for messages in kept)
    detail = f"{in_flight} of {_SENDS} sends in flight, {retries} retried elsewhere, all answered, each kept once"
    return StepResult(
        name="replica killed",
        ok=ok,
        detail=detail,
        seconds=stage.clock.monotonic() - started,
        model=replies[0].model,
        input_tokens=sum(reply.input_tokens for reply in replies),
        output_tokens=sum(reply.output_tokens for reply in replies),
        cost_usd_micros=sum(reply.cost_usd_micros for reply in replies),
    )


def _busiest(stage: Stage) -> Process:
    """The replica that most of the client's calls are at: killing an idle one would show nothing."""
    at = max(stage.client.channel.statistics().endpoints, key=lambda endpoint: endpoint.in_flight)
    return next(one for one in stage.mesh.of("conversation") if one.announced.get("grpc") == at.address)


STEPS: Final[tuple[Step, ...]] = (streamed, exact_hit, help_desk, remembered, job, replica_killed)
# Long enough for the sends to have reached the replicas, shorter than the simulator takes to answer.
_KILL_AFTER_SECONDS: Final = 0.15


async def _ask_anew(stage: Stage, text: str) -> Reply:
    conversation = await stage.client.create_conversation("demo: asked again")
    reply, _, _ = await _stream(stage, conversation.conversation_id, text)
    return reply


async def _stream(stage: Stage, conversation_id: str, text: str) -> tuple[Reply, int, float]:
    """The reply, in how many parts it came, and when the first one did."""
    parts, first = 0, 0.0
    stage.echo(f"\n> {text}\n")
    events: AsyncGenerator[str | Reply, None] = stage.client.stream(conversation_id, text)
    async for event in events:
        if isinstance(event, Reply):
            stage.echo("\n")
            return event, parts, first
        parts += 1
        first = first or stage.clock.monotonic()
        stage.echo(event)
    raise RuntimeError("the stream ended without a reply")


def _result(name: str, ok: bool, detail: str, started: float, stage: Stage, reply: Reply) -> StepResult:
    return StepResult(
        name=name,
        ok=ok,
        detail=detail,
        seconds=stage.clock.monotonic() - started,
        model=reply.model,
        cache_layer=reply.cache_layer,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd_micros=reply.cost_usd_micros,
        saved_usd_micros=reply.saved_usd_micros,
    )
