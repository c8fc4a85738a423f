import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from services.model_router.failures import TIMEOUT, Failure
from services.model_router.models import Model
from services.model_router.outcome import Hop, StopReason, Usage
from services.model_router.ports import (
    Books,
    CallRecord,
    Completion,
    Listener,
    ModelCall,
    ModelProvider,
    ProviderError,
)

_SETTLE_PASSES = 30


class VirtualClock:
    """Time that jumps to the next sleeper once every task has come to rest."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._settling = False

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        if not self._settling:
            self._settling = True
            loop.call_soon(self._settle, _SETTLE_PASSES)
        await woken

    def _settle(self, passes: int) -> None:
        if passes:
            asyncio.get_running_loop().call_soon(self._settle, passes - 1)
            return
        while self._sleepers:
            when, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.now = max(self.now, when)
                woken.set_result(None)
                break
        self._settling = bool(self._sleepers)
        if self._settling:
            asyncio.get_running_loop().call_soon(self._settle, _SETTLE_PASSES)


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Thought:
    text: str


Step = str | Thought | Wait | Usage | Failure


@dataclass
class Script:
    """What one try does: say, think, wait, count, fail; without a failure it ends well."""

    steps: Sequence[Step]
    usage: Usage = field(default_factory=lambda: Usage(100, 10))


class FakeProvider(ModelProvider):
    """Models that follow scripts, a try after the other, and keep to the patience they are given."""

    def __init__(self, clock: VirtualClock, scripts: dict[str, list[Script]]) -> None:
        self.clock = clock
        self.scripts = scripts
        self.calls: list[ModelCall] = []
        self.cancelled: list[str] = []

    async def complete(self, call: ModelCall) -> Completion:
        heard = _Recorder()
        end = await self._play(call, heard, call.patience.total)
        return Completion("".join(heard.texts), end.stop_reason, end.usage)

    async def stream(self, call: ModelCall, listener: Listener) -> Completion:
        return await self._play(call, listener, call.patience.first_text)

    async def _play(self, call: ModelCall, listener: Listener, patience: float) -> Completion:
        self.calls.append(call)
        script = self.scripts[call.model.name].pop(0)
        try:
            for step in script.steps:
                if isinstance(step, Wait):
                    await self.clock.sleep(min(step.seconds, patience))
                    if step.seconds > patience:
                        raise ProviderError(TIMEOUT)
                elif isinstance(step, Failure):
                    raise ProviderError(step)
                elif isinstance(step, Usage):
                    listener.counted(step)
                elif isinstance(step, Thought):
                    listener.thought(step.text)
                else:
                    listener.wrote(step)
        except asyncio.CancelledError:
            self.cancelled.append(call.model.name)
            raise
        return Completion("", StopReason.END_TURN, script.usage)


class _Recorder(Listener):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def counted(self, usage: Usage) -> None:
        pass

    def wrote(self, text: str) -> None:
        self.texts.append(text)

    def thought(self, text: str) -> None:
        pass


class FakeBooks(Books):
    def __init__(self) -> None:
        self.hops: list[tuple[Hop, bool]] = []
        self.records: list[CallRecord] = []

    def hop_ended(self, model: Model, hop: Hop, fell_back: bool) -> None:
        self.hops.append((hop, fell_back))

    def call_ended(self, record: CallRecord) -> None:
        self.records.append(record)
