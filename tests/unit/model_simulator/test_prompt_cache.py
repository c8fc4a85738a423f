import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.testing.clock import ManualClock
from services.model_simulator.call import Call
from services.model_simulator.errors import ApiError
from services.model_simulator.prompt_cache import PromptCache
from services.model_simulator.usage import InputUsage
from tests.unit.model_simulator.builders import call

LONG = "All about the tariffs of the harbour. " * 40


def let_in(usage: InputUsage) -> None:
    """Admits everything."""


def marked(text: str, ttl: str = "5m") -> dict[str, object]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def asked(question: str, *, ttl: str = "5m", system: str = LONG) -> Call:
    return call(system=[marked(system, ttl)], messages=[{"role": "user", "content": question}])


def total(usage: InputUsage) -> int:
    return usage.uncached + usage.written + usage.read


def test_a_prefix_is_written_once_and_read_afterwards() -> None:
    cache = PromptCache(ManualClock(), 0, 10)
    first = cache.account("acme", asked("One?"), let_in)
    second = cache.account("acme", asked("Two??"), let_in)
    assert first.written_5m > 400
    assert (first.read, second.written, second.read) == (0, 0, first.written_5m)
    assert second.limited == second.uncached < 20


def test_an_hour_is_counted_apart() -> None:
    usage = PromptCache(ManualClock(), 0, 10).account("acme", asked("One?", ttl="1h"), let_in)
    assert usage.written_1h > 400
    assert usage.written_5m == 0


def test_a_prefix_expires_unless_it_is_read() -> None:
    clock = ManualClock()
    cache = PromptCache(clock, 0, 10)
    cache.account("acme", asked("One?"), let_in)
    clock.advance(299)
    assert cache.account("acme", asked("One?"), let_in).read
    clock.advance(299)
    assert cache.account("acme", asked("One?"), let_in).read
    clock.advance(301)
    assert not cache.account("acme", asked("One?"), let_in).read


def test_others_do_not_see_it() -> None:
    cache = PromptCache(ManualClock(), 0, 10)
    cache.account("acme", asked("One?"), let_in)
    assert not cache.account("globex", asked("One?"), let_in).read
    assert not cache.account("acme", asked("One?", system=LONG + "!"), let_in).read
    other_model = call(model="claude-opus-5", system=[marked(LONG)])
    assert not cache.account("acme", other_model, let_in).read


def test_a_growing_conversation_reads_what_its_last_turn_wrote() -> None:
    cache = PromptCache(ManualClock(), 0, 10)
    messages: list[object] = [{"role": "user", "content": [marked(LONG)]}]
    first = cache.account("acme", call(messages=messages), let_in)
    messages = [
        {"role": "user", "content": [{"type": "text", "text": LONG}]},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": [marked("And the fees?")]},
    ]
    second = cache.account("acme", call(messages=messages), let_in)
    assert second.read == first.written
    assert 0 < second.written < 30


def test_a_short_prefix_is_not_kept() -> None:
    cache = PromptCache(ManualClock(), 1024, 10)
    for _ in range(2):
        usage = cache.account("acme", asked("One?"), let_in)
        assert (usage.written, usage.read) == (0, 0)


def test_a_refused_call_warms_nothing() -> None:
    cache = PromptCache(ManualClock(), 0, 10)

    def refuse(usage: InputUsage) -> None:
        raise ApiError(429, "no")

    with pytest.raises(ApiError):
        cache.account("acme", asked("One?"), refuse)
    assert not cache.account("acme", asked("One?"), let_in).read


def test_holds_no_more_than_its_capacity() -> None:
    cache = PromptCache(ManualClock(), 0, 3)
    for number in range(10):
        cache.account("acme", asked("One?", system=f"{number}{LONG}"), let_in)
    assert repr(cache) == "PromptCache(entries=3, capacity=3)"
    assert cache.account("acme", asked("One?", system=f"9{LONG}"), let_in).read
    assert not cache.account("acme", asked("One?", system=f"6{LONG}"), let_in).read


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=4), st.integers(1, 3))
def test_the_parts_always_add_up(blocks: list[tuple[str, bool]], repeats: int) -> None:
    cache = PromptCache(ManualClock(), 0, 10)
    content = [marked(text * 50) if mark else {"type": "text", "text": text * 50} for text, mark in blocks]
    asked_for = call(messages=[{"role": "user", "content": content}])
    for _ in range(repeats):
        assert total(cache.account("acme", asked_for, let_in)) == asked_for.input_tokens
