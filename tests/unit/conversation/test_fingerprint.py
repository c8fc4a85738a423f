from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.conversation.fingerprint import digest, instructions, request_key
from services.conversation.turn import Options, Owner, Tier, TurnRequest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
options = st.builds(Options, st.sampled_from(Tier), texts, st.integers(0, 128_000), st.booleans(), texts)
requests = st.builds(TurnRequest, st.just(Owner("t", "u")), texts, texts, texts, options, st.booleans())


@given(st.lists(texts), st.lists(texts))
def test_digests_are_equal_exactly_if_all_parts_are(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.lists(texts, min_size=2))
def test_where_one_part_ends_matters(parts: list[str]) -> None:
    joined = [parts[0] + parts[1], "", *parts[2:]]
    assert (digest(*joined) == digest(*parts)) == (joined == parts)


@given(requests, requests)
def test_requests_are_the_same_exactly_if_they_ask_the_same(one: TurnRequest, other: TurnRequest) -> None:
    same = (one.conversation_id, one.content, one.options) == (other.conversation_id, other.content, other.options)
    assert (request_key(one).digest == request_key(other).digest) == same


@given(requests)
def test_streaming_is_no_difference(request: TurnRequest) -> None:
    assert request_key(request) == request_key(replace(request, streaming=not request.streaming))


def test_a_retry_across_an_upgrade_finds_its_turn() -> None:
    options = Options(Tier.FAST, "model-a", 7, bypass_cache=True)
    request = TurnRequest(Owner("t", "u"), "cnv_1", "req", "Hi?", options)
    # As written down before requests could name a language.
    assert request_key(request).digest == "141c19f97f53a9922a49ec01b82098d0"


@given(texts)
def test_only_missing_instructions_have_no_fingerprint(prompt: str) -> None:
    assert (instructions(prompt) == "") == (prompt == "")
