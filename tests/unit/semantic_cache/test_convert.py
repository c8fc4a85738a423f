import uuid

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from services.semantic_cache import convert, tally, validation
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.judging import Considered, Estimate, Judgement, Verdict
from services.semantic_cache.lookup import Layer, Outcome
from services.semantic_cache.receipts import Ending, Receipt
from services.semantic_cache.scope import Scope, prefix_mark, tag_mark
from tests.unit.semantic_cache.entries import entry
from tests.unit.semantic_cache.fakes import DIMENSION, vector_of

ME = Principal("t1", "u1")
# One for all tests: what it remembers of a caller must be of no use to another.
QUESTIONS = convert.Questions(remembered=8)
REQUEST_ID = str(uuid.UUID(int=1))
SPACE = b"8 bytes."
STAMPS = convert.Stamps(5.0, SPACE)


def answered(outcome: Outcome, now: float = 0.0, explain: bool = False) -> pb.LookupResponse:
    return convert.lookup_response(ME, outcome, now, STAMPS, explain)


def test_a_question_is_its_callers_whatever_the_request_says() -> None:
    wire = pb.Scope(personal=True)
    mine = QUESTIONS.of(ME, wire, "text")
    assert mine.key != QUESTIONS.of(Principal("t1", "u2"), wire, "text").key
    assert mine.key != QUESTIONS.of(Principal("t2", "u1"), wire, "text").key
    assert not mine.shared


@pytest.mark.parametrize(
    ("wire", "shared"),
    [
        (pb.Scope(), True),
        (pb.Scope(context_fingerprint="f"), False),
        (pb.Scope(tools_fingerprint="f"), False),
        (pb.Scope(context_fingerprint="f", tools_fingerprint="f", personal=False), True),
        (pb.Scope(personal=True), False),
        (pb.Scope(instructions_fingerprint="f"), True),
    ],
)
def test_an_answer_is_personal_if_a_history_or_tools_took_part_and_nobody_says_otherwise(
    wire: pb.Scope, shared: bool
) -> None:
    assert QUESTIONS.of(ME, wire, "text").shared is shared


def test_every_field_of_a_scope_counts() -> None:
    scopes = [
        pb.Scope(personal=False),
        pb.Scope(personal=False, tier=types_pb2.MODEL_TIER_BALANCED),
        pb.Scope(personal=False, model="x"),
        pb.Scope(personal=False, instructions_fingerprint="x"),
        pb.Scope(personal=False, context_fingerprint="x"),
        pb.Scope(personal=True),
        pb.Scope(personal=False, tools_fingerprint="x"),
        pb.Scope(personal=False, language="x"),
    ]
    # A field that is added to the contract is to be added here, and to the key.
    assert len(scopes) == len(pb.Scope.DESCRIPTOR.fields) + 1
    assert len({QUESTIONS.of(ME, wire, "text").key.entry for wire in scopes}) == len(scopes)


def test_languages_that_differ_in_case_are_one() -> None:
    one, other = pb.Scope(language="de-CH"), pb.Scope(language="DE-ch")
    assert QUESTIONS.of(ME, one, "text").key == QUESTIONS.of(ME, other, "text").key


def test_a_hit_on_the_wire() -> None:
    found = Entry("q", "answer", "m", Usage(1, 2, 3, 4), 500, 100.0, 200.0, asked_at=1, marks=(), pieces=(2, 4))
    outcome = Outcome(Layer.SEMANTIC, found, similarity=0.95, wrong_probability=0.01, waited=True)
    hit = answered(outcome, now=101.5).hit
    assert (hit.answer, hit.model, hit.cost_usd_micros) == ("answer", "m", 500)
    assert hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert hit.similarity == pytest.approx(0.95)
    assert hit.wrong_probability == pytest.approx(0.01)
    assert hit.age.ToMilliseconds() == 1500
    assert hit.usage.cache_creation_input_tokens == 4
    assert list(hit.piece_lengths) == [2, 4]
    assert hit.waited


@pytest.mark.parametrize("layer", [Layer.EXACT_MEMORY, Layer.EXACT_REDIS, Layer.SEMANTIC])
def test_every_layer_that_has_answers_has_a_name_on_the_wire(layer: Layer) -> None:
    assert answered(Outcome(layer, entry())).hit.layer != types_pb2.CACHE_LAYER_UNSPECIFIED


def test_a_hit_is_never_from_the_future() -> None:
    outcome = Outcome(Layer.EXACT_REDIS, entry(created_at=100.0))
    assert answered(outcome, now=99.0).hit.age.ToMilliseconds() == 0


def test_a_miss_hands_out_what_put_needs() -> None:
    receipt = Receipt(Ending.MISSED, 9, b"s" * 20, b"q" * 20)
    token = (77).to_bytes(8, "big") + b"nonce..."
    response = answered(Outcome(Layer.MISS, vector=vector_of("text"), lease_token=token, receipt=receipt))
    assert not response.HasField("hit")
    assert response.lease.ttl.ToMilliseconds() == 5000
    request = pb.PutRequest(
        request_id=REQUEST_ID,
        text="text",
        answer="answer",
        embedding=response.embedding,
        lease_token=response.lease.token,
        receipt=response.receipt,
    )
    validation.PutValidator(3600, DIMENSION)(request)
    terms = convert.terms(ME, request, 77.0, SPACE)
    assert terms.vector is not None
    assert np.allclose(terms.vector, vector_of("text"))
    assert (terms.lease_token, terms.leased_at, terms.receipt) == (token, 77, receipt._replace(space=SPACE))


def test_what_another_model_computed_does_not_count() -> None:
    judged = Receipt(Ending.MISSED, 9, b"s" * 20, b"q" * 20, b"c" * 20, b"g" * 8, features=b"features")
    response = answered(Outcome(Layer.MISS, vector=vector_of("text"), receipt=judged))
    request = pb.PutRequest(embedding=response.embedding, receipt=response.receipt)
    terms = convert.terms(ME, request, 77.0, b"another.")
    assert terms.vector is None
    assert terms.receipt is not None
    assert (terms.receipt.candidate, terms.receipt.features, terms.receipt.asked_at) == (b"", b"", 9)
    assert convert.terms(ME, pb.PutRequest(embedding=response.embedding), 77.0, SPACE).vector is None


def test_a_hit_brings_no_embedding_and_a_miss_without_a_lease_none() -> None:
    assert answered(Outcome(Layer.SEMANTIC, entry(), vector=vector_of("text"))).embedding == b""
    assert not answered(Outcome(Layer.MISS)).HasField("lease")


def test_an_explanation_is_given_to_who_asked_for_it() -> None:
    considered = (Considered(0.9, "numbers"), Considered(0.8, "", 0.25, {"similarity": 0.5}))
    judgement = Judgement(
        Verdict.MISS, 1, 0.25, threshold=0.1, max_wrong_rate=0.02, reason="why", considered=considered
    )
    outcome = Outcome(Layer.MISS, judgement=judgement)
    assert not answered(outcome).HasField("explanation")
    told = answered(outcome, explain=True).explanation
    assert (told.reason, told.max_wrong_rate) == ("why", 0.02)
    assert told.threshold == pytest.approx(0.1)
    refused, weighed = told.candidates
    assert refused.refused_by == "numbers"
    assert not refused.HasField("wrong_probability")
    assert weighed.wrong_probability == pytest.approx(0.25)
    assert dict(weighed.features) == {"similarity": 0.5}


def test_what_lookup_wants() -> None:
    request = pb.LookupRequest(exact_only=True, explain=True, max_wait=Duration(seconds=1, nanos=500_000_000))
    asked = convert.asked(request, 0.02)
    assert (asked.max_wrong_rate, asked.exact_only, asked.max_wait, asked.explain) == (0.02, True, 1.5, True)
    assert convert.asked(pb.LookupRequest(), 0.02).max_wait == 0.0


def test_the_default_time_to_live() -> None:
    assert convert.terms(ME, pb.PutRequest(), 77.0, SPACE).ttl == 77.0
    assert convert.terms(ME, pb.PutRequest(ttl=Duration(seconds=5, nanos=500_000_000)), 77.0, SPACE).ttl == 5.5


def test_what_is_no_receipt_is_an_invalid_field() -> None:
    for sent in (b"x", b"\x02", bytes(100), Receipt(Ending.SERVED, 1, bytes(20), bytes(20)).pack(bytes(8), SPACE)):
        with pytest.raises(MeshError) as raised:
            convert.terms(ME, pb.PutRequest(receipt=sent), 1.0, SPACE)
        assert raised.value.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    ("request_", "mark"),
    [
        (pb.InvalidateRequest(everything=True), b""),
        (pb.InvalidateRequest(tag="x"), tag_mark("x")),
        (pb.InvalidateRequest(scope_prefix=pb.ScopePrefix(personal=False)), prefix_mark(("shared",))),
        (pb.InvalidateRequest(scope_prefix=pb.ScopePrefix(personal=True)), prefix_mark(("user:u1",))),
        (
            pb.InvalidateRequest(
                scope_prefix=pb.ScopePrefix(personal=False, tier=types_pb2.MODEL_TIER_BALANCED, model="")
            ),
            prefix_mark(("shared", str(types_pb2.MODEL_TIER_BALANCED), "")),
        ),
    ],
)
def test_what_an_invalidation_names(request_: pb.InvalidateRequest, mark: bytes) -> None:
    assert convert.target_mark(ME, request_) == mark


def test_an_entry_is_invalidated_by_the_name_that_lookup_finds_it_by() -> None:
    wire = pb.Scope(language="de-CH", context_fingerprint="c")
    request = pb.InvalidateRequest(entry=pb.EntryTarget(scope=wire, text=" text "))
    assert convert.target_mark(ME, request) == QUESTIONS.of(ME, wire, "text").key.entry


def test_a_whole_prefix_names_exactly_one_scope() -> None:
    wire = pb.Scope(
        tier=types_pb2.MODEL_TIER_BALANCED,
        model="m",
        instructions_fingerprint="i",
        tools_fingerprint="t",
        language="DE",
        context_fingerprint="c",
    )
    prefix = pb.ScopePrefix(
        personal=True,
        tier=types_pb2.MODEL_TIER_BALANCED,
        model="m",
        instructions_fingerprint="i",
        tools_fingerprint="t",
        language="DE",
        context_fingerprint="c",
    )
    marks = QUESTIONS.of(ME, wire, "text").scope.marks()
    assert convert.target_mark(ME, pb.InvalidateRequest(scope_prefix=prefix)) == marks[-1]
    assert len(prefix.DESCRIPTOR.fields) == len(Scope("", "", False).path())


def test_statistics_on_the_wire() -> None:
    counts = {tally.LOOKUPS: 10, tally.HITS[Layer.SEMANTIC]: 3, tally.WAITED: 2, tally.AUDITS: 1, tally.SAVED: 5}
    before = convert.stats_response(counts, 7, Estimate(), 0.02)
    assert (before.lookup_count, before.semantic_hit_count, before.exact_redis_hit_count) == (10, 3, 0)
    assert (before.waited_hit_count, before.audit_count, before.saved_usd_micros) == (2, 1, 5)
    assert (before.indexed_entry_count, before.max_wrong_rate) == (7, 0.02)
    assert not before.HasField("wrong_rate")
    assert (before.wrong_rate_low, before.wrong_rate_high) == (0.0, 1.0)
    after = convert.stats_response(counts, 7, Estimate(0.0, 0.0, 0.125), 0.02)
    assert after.HasField("wrong_rate")
    assert after.wrong_rate_high == 0.125
