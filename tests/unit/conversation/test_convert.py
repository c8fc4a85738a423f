from hypothesis import given
from hypothesis import strategies as st

from agentmesh.types.v1 import types_pb2
from services.conversation import convert
from services.conversation.jobs import Job, JobError, JobState
from services.conversation.turn import (
    Answer,
    CacheLayer,
    Message,
    Options,
    Owner,
    Report,
    Role,
    Route,
    StopReason,
    Tier,
    Usage,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**62)
shares = st.floats(0, 1, width=32)
# Multiples of what a double can hold beside Unix seconds, so that equality may be asked for.
times = st.integers(1, 2**40).map(lambda number: number / 256)
usages = st.builds(Usage, counts, counts, counts, counts)
reports = st.builds(
    Report,
    model=texts,
    usage=usages,
    cost_usd_micros=counts,
    saved_usd_micros=counts,
    cache_layer=st.sampled_from(CacheLayer),
    cache_similarity=shares,
    route=st.sampled_from(Route),
    confidence=shares,
    degraded=st.lists(texts, max_size=3).map(tuple),
    trace_id=texts,
    replayed=st.booleans(),
    time_to_first_text=times,
    duration=times,
    fallback_count=st.integers(0, 100),
)
messages = st.builds(Message, texts, st.sampled_from(Role), texts, times, texts)
answers = st.builds(Answer, messages, reports)
jobs = st.builds(
    Job,
    texts,
    st.just(Owner("t", "u")),
    texts,
    texts,
    texts,
    st.builds(Options, st.sampled_from(Tier), texts, st.integers(0, 128_000), st.booleans(), texts),
    st.sampled_from(JobState),
    st.integers(1, 1_000),
    st.integers(0, 1_000),
    times,
    st.just(0.0) | times,
    st.just(0.0) | times,
    st.none() | answers,
    st.none() | st.builds(JobError, texts, texts),
)


@given(answers)
def test_an_answer_comes_back_as_it_was_kept(answer: Answer) -> None:
    kept = convert.answer_proto(answer).SerializeToString()
    assert convert.answer_domain(type(convert.answer_proto(answer)).FromString(kept)) == answer


@given(jobs)
def test_a_job_comes_back_as_it_was_kept(job: Job) -> None:
    assert convert.job_domain(job.owner, convert.job_proto(job), convert.submission(job)) == job


def test_numbers_of_a_later_contract_read_as_not_specified() -> None:
    """So that a peer may be released before us."""
    assert StopReason(99) is StopReason.UNSPECIFIED
    assert CacheLayer(99) is CacheLayer.NONE
    assert Route(99) is Route.UNSPECIFIED
    assert Tier(99) is Tier.UNSPECIFIED


def test_the_numbers_are_the_contracts() -> None:
    assert convert.role_proto(Role.ASSISTANT) == types_pb2.ROLE_ASSISTANT
    assert convert.layer_proto(CacheLayer.SEMANTIC) == types_pb2.CACHE_LAYER_SEMANTIC
    assert convert.tier_proto(Tier.DEEP) == types_pb2.MODEL_TIER_DEEP
