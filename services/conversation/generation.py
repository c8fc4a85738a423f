"""Has a model write an answer: history, the agent's decision, the text, the agent's verdict."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from libs.core.errors import MeshError, Reason
from services.conversation.agent import Agent, Intent, Next
from services.conversation.dependencies import no_model_can_answer, raise_if_ours
from services.conversation.draft import Draft
from services.conversation.ports import Begun, ChatMessage, Generated, GenerationRequest, History, Models
from services.conversation.turn import Route, TextPart

_MESSAGES_PER_TURN: Final = 2


@dataclass(frozen=True, slots=True)
class GenerationPolicy:
    """What operators may set about generating."""

    context_max_tokens: int
    fallback_answer: str
    """Given when no model can answer; empty fails the turn with the router's error instead."""


class AnswerWriter:
    """Writes drafts. Holds no state between them."""

    def __init__(self, history: History, models: Models, agent: Agent, policy: GenerationPolicy) -> None:
        self._history: Final = history
        self._models: Final = models
        self._agent: Final = agent
        self._policy: Final = policy

    async def write(self, draft: Draft, begun: Begun) -> AsyncGenerator[TextPart, None]:
        """The text as it is written; the draft knows the rest.

        Raises:
            MeshError: what the model router raises, if nothing can be given instead.
        """
        agent = self._agent
        history = await self._read(draft, begun)
        intent = agent.classifier.classify(draft.question)
        asked = agent.decider.decide(draft.request, draft.question, intent, begun.system_prompt, history)
        try:
            async with aclosing(self._generate(draft, asked)) as parts:
                async for part in parts:
                    yield part
        except MeshError as error:
            # Text that is out cannot be taken back, and a wrong request stays wrong whatever is said instead.
            if draft.text or not self._policy.fallback_answer or not no_model_can_answer(error):
                raise
            draft.fall_back(self._policy.fallback_answer)
            yield TextPart(draft.text)
            return
        if self._escalated(draft, intent):
            yield TextPart(draft.text)

    async def _read(self, draft: Draft, begun: Begun) -> tuple[ChatMessage, ...]:
        if not begun.context_fingerprint:
            return ()
        try:
            recalled = await self._history.context(
                draft.request.conversation_id, draft.question, self._policy.context_max_tokens
            )
        except MeshError as error:
            raise_if_ours(error)
            draft.degrade("memory")
            draft.saw_all = False
            return ()
        expected = begun.turn_count * _MESSAGES_PER_TURN
        draft.saw_all = recalled.message_count == expected
        if recalled.message_count < expected:
            # Turns still wait in the outbox, so the model does not see all that was said.
            draft.degrade("memory")
        return recalled.messages

    async def _generate(self, draft: Draft, asked: GenerationRequest) -> AsyncGenerator[TextPart, None]:
        async with aclosing(self._models.generate(asked)) as parts:
            async for part in parts:
                if isinstance(part, Generated):
                    draft.generated(part)
                else:
                    draft.add(part.text)
                    yield part
        if draft.route is not Route.MODEL:
            raise MeshError(Reason.MODEL_STREAM_BROKEN)

    def _escalated(self, draft: Draft, intent: Intent) -> bool:
        verdict = self._agent.validator.validate(intent, draft.text, draft.stop_reason)
        draft.confidence = verdict.confidence
        if self._agent.route(verdict) is Next.ANSWER:
            return False
        if not self._policy.fallback_answer:
            raise MeshError(Reason.MODEL_BAD_RESPONSE, "The model gave no usable answer.")
        draft.fall_back(self._policy.fallback_answer)
        return True
