"""What a conversation reaches, in memory: fakes that keep the ports' promises and can be taken down."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from libs.core.errors import MeshError, Reason, not_found
from libs.testing.clock import ManualClock
from services.conversation.fingerprint import digest
from services.conversation.job_ports import JobStore
from services.conversation.jobs import Job
from services.conversation.ports import (
    Begun,
    Busy,
    ChatMessage,
    Conversation,
    ConversationStore,
    Done,
    Generated,
    GenerationRequest,
    History,
    Models,
    Outbox,
    Page,
    Recollection,
    TurnLedger,
    TurnOutcome,
    TurnRequestKey,
    Usages,
)
from services.conversation.turn import (
    Answer,
    Message,
    Owner,
    StopReason,
    TextPart,
    Turn,
    Usage,
)

OWNER = Owner("tenant-one", "ada")
CONVERSATION = "cnv_00000000000000000000000001"
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
LEASE_SECONDS = 6.0
CACHE_WAIT_SECONDS = 10.0
USAGE = Usage(input_tokens=12, output_tokens=5)
GENERATED = Generated("model-a", StopReason.END_TURN, USAGE, 340, 0)


class Breakable:
    """Raises what `fault` holds at every call; calls are counted by name."""

    def __init__(self) -> None:
        self.fault: MeshError | None = None
        self.calls: list[str] = []

    def called(self, name: str) -> None:
        self.calls.append(name)
        if self.fault is not None:
            raise self.fault


def down() -> MeshError:
    """What a peer that cannot be reached looks like."""
    return MeshError(Reason.PEER_UNAVAILABLE)


@dataclass
class _Record:
    digest: str
    attempt: int = 0
    holder: str = ""
    lease_until: float = 0.0
    staged: Answer | None = None
    answer: Answer | None = None


class FakeLedger(Breakable, TurnLedger):
    """The ledger's rules, on a manual clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.conversations: dict[tuple[Owner, str], Conversation] = {}
        self.fingerprints: dict[tuple[Owner, str], str] = {}
        self.records: dict[tuple[Owner, str], _Record] = {}
        self.finish_fault: MeshError | None = None
        self._clock = clock
        self.add(OWNER, CONVERSATION)

    def add(self, owner: Owner, conversation_id: str, system_prompt: str = "") -> None:
        self.conversations[owner, conversation_id] = Conversation(conversation_id, "", system_prompt, 0, 0, 0)

    async def begin(self, request: TurnRequestKey, holder: str) -> Begun | Done | Busy:
        self.called("begin")
        place = (request.owner, request.conversation_id)
        conversation = self.conversations.get(place)
        if conversation is None:
            raise not_found("conversation")
        record = self.records.setdefault((request.owner, request.request_id), _Record(request.digest))
        if record.digest != request.digest:
            raise MeshError(Reason.REQUEST_ID_REUSED)
        if record.answer is not None:
            return Done(record.answer)
        left = record.lease_until - self._clock.monotonic()
        if left > 0:
            return Busy(left)
        record.attempt += 1
        record.holder = holder
        record.lease_until = self._clock.monotonic() + LEASE_SECONDS
        fingerprint = self.fingerprints.get(place, "")
        return Begun(record.attempt, conversation.system_prompt, fingerprint, conversation.turn_count, record.staged)

    async def renew(self, request: TurnRequestKey, holder: str) -> bool:
        self.called("renew")
        record = self.records[request.owner, request.request_id]
        if record.holder != holder:
            return False
        record.lease_until = self._clock.monotonic() + LEASE_SECONDS
        return True

    async def stage(self, request: TurnRequestKey, holder: str, answer: Answer) -> None:
        self.called("stage")
        record = self.records[request.owner, request.request_id]
        if record.holder != holder:
            raise MeshError(Reason.REQUEST_IN_PROGRESS)
        record.staged = answer

    async def finish(self, request: TurnRequestKey, answer: Answer, turn_digest: str) -> Answer:
        self.called("finish")
        if self.finish_fault is not None:
            raise self.finish_fault
        record = self.records[request.owner, request.request_id]
        if record.answer is not None:
            return record.answer.as_replay()
        place = (request.owner, request.conversation_id)
        conversation = self.conversations.get(place)
        if conversation is None:
            raise not_found("conversation")
        self.conversations[place] = replace(conversation, turn_count=conversation.turn_count + 1)
        self.fingerprints[place] = digest(self.fingerprints.get(place, ""), turn_digest)
        record.answer, record.holder = answer, ""
        return answer

    async def abandon(self, request: TurnRequestKey, holder: str) -> None:
        self.called("abandon")
        record = self.records[request.owner, request.request_id]
        if record.holder == holder:
            record.holder, record.lease_until = "", 0.0

    def held(self, request_id: str = REQUEST_ID) -> bool:
        """Whether somebody has the claim on the turn."""
        return bool(self.records[OWNER, request_id].holder)

    def lose(self, request_id: str = REQUEST_ID) -> None:
        """Let another holder take the claim."""
        record = self.records[OWNER, request_id]
        record.holder, record.lease_until = "somebody else", self._clock.monotonic() + LEASE_SECONDS


class FakeHistory(Breakable, History):
    """Turns by request_id; can lose its voice after it has kept something."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, Turn] = {}
        self.append_fault: MeshError | None = None
        self.find_fault: MeshError | None = None
        self.deleted: set[str] = set()
        self.context_fault: MeshError | None = None

    async def context(self, conversation_id: str, query: str, max_tokens: int) -> Recollection:
        self.called("context")
        if self.context_fault is not None:
            raise self.context_fault
        said = [
            message
            for turn in self.turns.values()
            if turn.conversation_id == conversation_id
            for message in (turn.question, turn.answer.message)
        ]
        return Recollection(tuple(ChatMessage(message.role, message.content) for message in said), len(said))

    async def append(self, turn: Turn) -> bool:
        self.called("append")
        if self.append_fault is not None:
            raise self.append_fault
        if turn.conversation_id in self.deleted:
            raise not_found("conversation")
        return self.turns.setdefault(turn.request_id, turn) is turn

    async def find_turn(self, conversation_id: str, request_id: str) -> Answer | None:
        self.called("find_turn")
        if self.find_fault is not None:
            raise self.find_fault
        turn = self.turns.get(request_id)
        return None if turn is None else turn.answer

    async def list(self, conversation_id: str, size: int, token: str) -> Page[Message]:
        self.called("list")
        said = [turn.answer.message for turn in self.turns.values() if turn.conversation_id == conversation_id]
        return Page(tuple(said), "")

    async def delete(self, conversation_id: str, request_id: str) -> None:
        self.called("delete")
        self.deleted.add(conversation_id)
        self.turns = {key: turn for key, turn in self.turns.items() if turn.conversation_id != conversation_id}


class FakeOutbox(Breakable, Outbox):
    """A list."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Turn] = []

    async def add(self, turn: Turn) -> None:
        self.called("add")
        self.waiting.append(turn)


class FakeModels(Breakable, Models):
    """Says `parts`, then ends; waits at `gate` after the first part if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = ["Hello", " there"]
        self.end: Generated | None = GENERATED
        self.gate: asyncio.Event | None = None
        self.broken: MeshError | None = None
        """Raised after the parts."""
        self.asked: list[GenerationRequest] = []
        self.writing = asyncio.Event()
        self.closed = 0

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[TextPart | Generated, None]:
        self.called("generate")
        self.asked.append(request)
        try:
            for number, part in enumerate(self.parts):
                yield TextPart(part)
                self.writing.set()
                if number == 0 and self.gate is not None:
                    await self.gate.wait()
            if self.broken is not None:
                raise self.broken
            if self.end is not None:
                yield self.end
        finally:
            self.closed += 1


class FakeUsages(Usages):
    """A list."""

    def __init__(self) -> None:
        self.outcomes: list[TurnOutcome] = []

    def turn_ended(self, outcome: TurnOutcome) -> None:
        self.outcomes.append(outcome)


class FakeConversationStore(Breakable, ConversationStore):
    """A dictionary per owner, in order of creation."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[tuple[Owner, str], Conversation] = {}
        self.deleting: set[tuple[Owner, str]] = set()
        self._created: dict[tuple[Owner, str], Conversation] = {}
        self._deleted: dict[tuple[Owner, str], str] = {}

    async def create(self, owner: Owner, request_id: str, new: Conversation) -> Conversation:
        self.called("create")
        made = self._created.setdefault((owner, request_id), new)
        if (made.title, made.system_prompt) != (new.title, new.system_prompt):
            raise MeshError(Reason.REQUEST_ID_REUSED)
        return self.records.setdefault((owner, made.conversation_id), new)

    async def get(self, owner: Owner, conversation_id: str) -> Conversation | None:
        self.called("get")
        return None if (owner, conversation_id) in self.deleting else self.records.get((owner, conversation_id))

    async def list(self, owner: Owner, size: int, token: str) -> Page[Conversation]:
        self.called("list")
        return Page(tuple(record for (of, _), record in self.records.items() if of == owner)[:size], "")

    async def begin_delete(self, owner: Owner, conversation_id: str) -> bool:
        self.called("begin_delete")
        if (owner, conversation_id) not in self.records:
            return False
        self.deleting.add((owner, conversation_id))
        return True

    async def delete(self, owner: Owner, conversation_id: str, request_id: str) -> None:
        self.called("delete")
        self.deleting.discard((owner, conversation_id))
        self.records.pop((owner, conversation_id), None)
        self._deleted[owner, request_id] = conversation_id

    async def deleted_by(self, owner: Owner, request_id: str) -> str:
        return self._deleted.get((owner, request_id), "")


class FakeJobStore(Breakable, JobStore):
    """A dictionary with optimistic replacement."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[tuple[Owner, str], Job] = {}

    async def submit(self, job: Job) -> Job:
        self.called("submit")
        for standing in self.jobs.values():
            if (standing.owner, standing.request_id) == (job.owner, job.request_id):
                return standing
        self.jobs[job.owner, job.job_id] = job
        return job

    async def get(self, owner: Owner, job_id: str) -> Job | None:
        self.called("get")
        return self.jobs.get((owner, job_id))

    async def replace(self, job: Job) -> bool:
        self.called("replace")
        if self.jobs[job.owner, job.job_id].revision != job.revision - 1:
            return False
        self.jobs[job.owner, job.job_id] = job
        return True
