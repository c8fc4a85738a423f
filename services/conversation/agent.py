"""The agent pipeline: parse -> classify -> decide -> execute -> validate -> answer | escalate.

Each stage is a small object behind a Protocol, chosen in bootstrap.py; `turns.py` runs them. Stages decide and do
no I/O: executing belongs to the model router, reached through its port.
"""

import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from services.conversation.ports import ChatMessage, GenerationRequest
from services.conversation.turn import Role, StopReason, TurnRequest


@dataclass(frozen=True, slots=True)
class Intent:
    """What the user wants, and how sure the classifier is (0 to 1)."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation thinks of a draft."""

    acceptable: bool
    confidence: float


class Next(Enum):
    """Where a validated draft goes."""

    ANSWER = "answer"
    ESCALATE = "escalate"


class Classifier(Protocol):
    """Finds the intent of a parsed message."""

    def classify(self, text: str) -> Intent:
        """The most likely intent."""
        ...


class Decider(Protocol):
    """Turns an intent into what the model is asked."""

    def decide(
        self, request: TurnRequest, text: str, intent: Intent, system_prompt: str, history: tuple[ChatMessage, ...]
    ) -> GenerationRequest:
        """The request for the model router."""
        ...


class Validator(Protocol):
    """Judges a draft answer."""

    def validate(self, intent: Intent, draft: str, stop_reason: StopReason) -> Verdict:
        """Whether the draft may be given, and how sure the agent is."""
        ...


def parse(content: str) -> str:
    """The text the agent works with: canonical Unicode (NFC), without surrounding white space."""
    return unicodedata.normalize("NFC", content).strip()


class SingleIntent:
    """The classifier of an agent that has one skill: everything is conversation."""

    __slots__ = ()

    def classify(self, text: str) -> Intent:  # noqa: ARG002 - the seam's signature
        """Always `conversation`, for certain."""
        return Intent("conversation", 1.0)


class PassToModel:
    """The decider of an agent that asks a model with the history and the conversation's own instructions."""

    __slots__ = ()

    def decide(
        self,
        request: TurnRequest,
        text: str,
        intent: Intent,  # noqa: ARG002 - the seam's signature
        system_prompt: str,
        history: tuple[ChatMessage, ...],
    ) -> GenerationRequest:
        """History, then the question; options as the caller gave them, the language as an instruction."""
        messages = (*history, ChatMessage(Role.USER, text))
        told = _instructions(system_prompt, request.options.language)
        return GenerationRequest(request.request_id, messages, told, request.options, request.streaming)


def _instructions(system_prompt: str, language: str) -> str:
    if not language:
        return system_prompt
    # At the end: what a provider caches of a prompt is its beginning.
    wish = f"Answer in the language {language}."
    return f"{system_prompt}\n\n{wish}" if system_prompt else wish


class StopReasonValidator:
    """Trusts a model that ended by itself, less one that was cut off, least one that refused.

    The three weights are a prior, not a measurement: they order answers until feedback teaches better ones.
    """

    __slots__ = ()

    _TRUST: Final = {StopReason.MAX_TOKENS: 0.5, StopReason.REFUSAL: 0.1}

    def validate(self, intent: Intent, draft: str, stop_reason: StopReason) -> Verdict:
        """An empty draft is not acceptable; everything else is, with the confidence its ending deserves."""
        if not draft.strip():
            return Verdict(acceptable=False, confidence=0.0)
        return Verdict(acceptable=True, confidence=intent.confidence * self._TRUST.get(stop_reason, 1.0))


@dataclass(frozen=True, slots=True)
class Agent:
    """The stages of one agent."""

    classifier: Classifier
    decider: Decider
    validator: Validator

    def route(self, verdict: Verdict) -> Next:
        """Acceptable drafts are answers; the rest is escalated."""
        return Next.ANSWER if verdict.acceptable else Next.ESCALATE
