import pytest

from services.conversation.agent import (
    Agent,
    Intent,
    Next,
    PassToModel,
    SingleIntent,
    StopReasonValidator,
    Verdict,
    parse,
)
from services.conversation.ports import ChatMessage
from services.conversation.turn import Role, StopReason
from tests.unit.conversation.world import ask

SURE = Intent("conversation", 1.0)


def test_parsing_gives_canonical_text_without_white_space_around_it() -> None:
    assert parse(" \tCafe\u0301?\n") == "Caf\u00e9?"


def test_an_agent_of_one_skill_is_always_sure() -> None:
    assert SingleIntent().classify("anything") == SURE


def test_the_model_reads_the_history_and_then_the_question() -> None:
    history = (ChatMessage(Role.USER, "a"), ChatMessage(Role.ASSISTANT, "b"))
    request = ask("c", max_tokens=9)
    asked = PassToModel().decide(request, "c", SURE, "be brief", history)
    assert asked.messages == (*history, ChatMessage(Role.USER, "c"))
    assert (asked.system_prompt, asked.options, asked.request_id) == ("be brief", request.options, request.request_id)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [("", "Answer in the language de-CH."), ("be brief", "be brief\n\nAnswer in the language de-CH.")],
)
def test_the_model_is_told_the_language(prompt: str, told: str) -> None:
    assert PassToModel().decide(ask("c", language="de-CH"), "c", SURE, prompt, ()).system_prompt == told


@pytest.mark.parametrize(
    ("draft", "stop", "verdict"),
    [
        ("yes", StopReason.END_TURN, Verdict(acceptable=True, confidence=1.0)),
        ("yes", StopReason.MAX_TOKENS, Verdict(acceptable=True, confidence=0.5)),
        ("no", StopReason.REFUSAL, Verdict(acceptable=True, confidence=0.1)),
        (" \n", StopReason.END_TURN, Verdict(acceptable=False, confidence=0.0)),
    ],
)
def test_how_a_model_ended_decides_what_its_draft_is_worth(draft: str, stop: StopReason, verdict: Verdict) -> None:
    validator = StopReasonValidator()
    assert validator.validate(SURE, draft, stop) == verdict
    route = Agent(SingleIntent(), PassToModel(), validator).route(verdict)
    assert route is (Next.ANSWER if verdict.acceptable else Next.ESCALATE)
