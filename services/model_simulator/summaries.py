"""Summarises by picking sentences: what the user said of themselves first, then whatever leads."""

import re
from typing import Final

from services.model_simulator.call import Prompt
from services.model_simulator.completion import split
from services.model_simulator.text import is_question, sentences, split_role, words

# Orders to summarise. A system prompt that merely brings a summary along ("Summary so far: ...") is not one.
_ORDER: Final = re.compile(
    r"\bsummari[sz](?:e|er|ing)\b|\b(?:write|give|make|create|produce|update|return|provide)\b[^.\n]{0,40}\bsummary\b|\bcondense\b|\btl;?dr\b",
    re.IGNORECASE,
)
_OWN: Final = re.compile(r"\b(?:i|i'm|my|we|our|user|user's)\b", re.IGNORECASE)
_LABEL: Final = re.compile(r"\(simulated answer\)\s*")
_MAX_TOKENS: Final = 80
_SHORT_ORDER: Final = 12


def summarise(prompt: Prompt) -> str | None:
    """The gist of what the prompt asks to be summarised, or None if it does not ask."""
    question = prompt.question
    lead = sentences(question)[:1]
    if not _ORDER.search(prompt.system) and not (lead and _ORDER.search(lead[0])):
        return None
    picked = _pick(_source(prompt, question))
    return " ".join(picked) if picked else "There is nothing to summarise yet."


def _source(prompt: Prompt, question: str) -> list[tuple[str, str]]:
    lines = [line for line in question.splitlines() if line.strip()]
    if len(words(question)) <= _SHORT_ORDER and _ORDER.search(question):
        # "Summarise our conversation": the conversation is in the turns.
        return [(turn.role, line) for turn in prompt.turns[:-1] for line in turn.text.splitlines()]
    spoken = [split_role(line) for line in lines]
    if spoken and _ORDER.search(spoken[0][1]):
        rest = sentences(spoken[0][1])[1:]
        spoken[0] = (spoken[0][0], " ".join(rest))
    return spoken


def _pick(source: list[tuple[str, str]]) -> list[str]:
    told = [
        (role, sentence)
        for role, line in source
        for sentence in sentences(_LABEL.sub("", line))
        if not is_question(sentence)
    ]
    # Assistants repeat what users say; a user's own words about themselves are what later turns ask for.
    own = [sentence for role, sentence in told if role != "assistant" and _OWN.search(sentence)]
    leading = [sentence for role, sentence in told if role != "assistant"] or [sentence for _, sentence in told]
    picked: list[str] = []
    budget = _MAX_TOKENS
    for sentence in dict.fromkeys([*own, *leading]):
        size = len(split(sentence))
        if size <= budget:
            picked.append(sentence if sentence[-1] in ".!?" else sentence + ".")
            budget -= size
    if not picked and told:
        return [told[0][1]]
    return picked
