"""A turn runner among fakes, and what tests say to it."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from libs.core.context import Principal, RequestContext, scope
from libs.core.deadline import Deadline
from libs.core.errors import MeshError
from libs.testing.clock import ManualClock
from services.conversation.agent import Agent, PassToModel, SingleIntent, StopReasonValidator
from services.conversation.generation import GenerationPolicy
from services.conversation.turn import (
    Answer,
    Message,
    Options,
    Role,
    TextPart,
    TurnEvent,
    TurnRequest,
)
from services.conversation.turns import TurnPolicy, TurnPorts, TurnRunner
from tests.unit.conversation.fake_cache import FakeCache
from tests.unit.conversation.fakes import (
    CACHE_WAIT_SECONDS,
    CONVERSATION,
    LEASE_SECONDS,
    OWNER,
    REQUEST_ID,
    FakeHistory,
    FakeLedger,
    FakeModels,
    FakeOutbox,
)


@dataclass
class World:
    """A turn runner and everything it reaches."""

    clock: ManualClock = field(default_factory=ManualClock)
    fallback_answer: str = ""

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.clock)
        self.cache = FakeCache()
        self.history = FakeHistory()
        self.outbox = FakeOutbox()
        self.models = FakeModels()

    def runner(self) -> TurnRunner:
        """As a process has it; several of them share the world."""
        return TurnRunner(
            TurnPorts(self.ledger, self.cache, self.history, self.outbox, self.models),
            Agent(SingleIntent(), PassToModel(), StopReasonValidator()),
            TurnPolicy(LEASE_SECONDS, CACHE_WAIT_SECONDS, GenerationPolicy(1000, self.fallback_answer)),
            self.clock,
        )

    @contextmanager
    def request(self, timeout: float = 60.0) -> Iterator[RequestContext]:
        """Be inside a call of `OWNER`."""
        principal = Principal(OWNER.tenant_id, OWNER.user_id, frozenset({"chat"}))
        context = RequestContext(Deadline.after(timeout, self.clock), "00-" + "a" * 32 + "-" + "b" * 16 + "-00")
        context.principal = principal
        with scope(context):
            yield context

    async def say(self, request: TurnRequest | None = None, timeout: float = 60.0) -> list[TurnEvent]:
        """Everything a turn gives."""
        with self.request(timeout):
            return [event async for event in self.runner().run(request or ask())]

    async def failure(self, timeout: float = 60.0) -> MeshError:
        """How a turn fails."""
        return await raised(self.say(timeout=timeout))


def ask(
    content: str = "Hi?",
    request_id: str = REQUEST_ID,
    conversation_id: str = CONVERSATION,
    *,
    model: str = "",
    max_tokens: int = 0,
    bypass_cache: bool = False,
    language: str = "",
    streaming: bool = False,
) -> TurnRequest:
    """A turn of `OWNER`."""
    options = Options(model=model, max_tokens=max_tokens, bypass_cache=bypass_cache, language=language)
    return TurnRequest(OWNER, conversation_id, request_id, content, options, streaming)


def answer_of(events: list[TurnEvent]) -> Answer:
    """The answer, which comes last."""
    last = events[-1]
    assert isinstance(last, Answer)
    return last


def text_of(events: list[TurnEvent]) -> str:
    """The text that was passed on."""
    return "".join(event.text for event in events if isinstance(event, TextPart))


def other_id(number: int) -> str:
    """A request_id of its own."""
    return f"00000000-0000-4000-8000-{number:012}"


def message(content: str = "answer") -> Message:
    """An agent's message."""
    return Message("msg_1", Role.ASSISTANT, content, 1_700_000_000.0, REQUEST_ID)


async def raised(work: Awaitable[object]) -> MeshError:
    """How something fails."""
    with pytest.raises(MeshError) as found:
        await work
    return found.value
