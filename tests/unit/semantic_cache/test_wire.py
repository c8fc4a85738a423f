import struct
import uuid

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from services.semantic_cache import convert, validation
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.lookup import Layer, Outcome
from tests.unit.semantic_cache.fakes import DIMENSION, vector_of

REQUEST_ID = str(uuid.UUID(int=1))
validate_put = validation.PutValidator(max_ttl=3600, dimension=DIMENSION)


def put(ttl: Duration | None = None, embedding: bytes = b"") -> pb.PutRequest:
    return pb.PutRequest(request_id=REQUEST_ID, text="text", answer="answer", ttl=ttl, embedding=embedding)


def faulty_fields(raised: pytest.ExceptionInfo[MeshError]) -> list[str]:
    assert raised.value.reason is Reason.INVALID_FIELD
    return [violation.field for violation in raised.value.violations]


def test_a_question_is_its_callers_whatever_the_request_says() -> None:
    wire = pb.Scope(personal=True)
    mine = convert.question(Principal("t1", "u1"), wire, "text")
    assert mine.key != convert.question(Principal("t1", "u2"), wire, "text").key
    assert mine.key != convert.question(Principal("t2", "u1"), wire, "text").key
    assert not mine.shared


def test_a_hit_on_the_wire() -> None:
    entry = Entry("q", "a", "m", Usage(1, 2, 3, 4), 500, created_at=100.0, expires_at=200.0, similarity=0.95)
    hit = convert.lookup_response(Outcome(Layer.SEMANTIC, entry), now=101.5).hit
    assert (hit.answer, hit.model, hit.cost_usd_micros) == ("a", "m", 500)
    assert hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert hit.similarity == pytest.approx(0.95)
    assert hit.age.ToMilliseconds() == 1500
    assert hit.usage.cache_creation_input_tokens == 4


def test_a_hit_is_never_from_the_future() -> None:
    entry = Entry("q", "a", "m", Usage(), 0, created_at=100.0, expires_at=200.0)
    assert convert.lookup_response(Outcome(Layer.EXACT_REDIS, entry), now=99.0).hit.age.ToMilliseconds() == 0


def test_a_misss_embedding_fits_into_put() -> None:
    response = convert.lookup_response(Outcome(Layer.MISS, vector=vector_of("text")), now=0.0)
    assert not response.HasField("hit")
    validate_put(put(embedding=response.embedding))
    vector = convert.vector(response.embedding)
    assert vector is not None
    assert np.allclose(vector, vector_of("text"))
    assert convert.vector(b"") is None


@pytest.mark.parametrize("text", ["", " \n", "x" * 32_769, "\U0001f600" * 8_193])
def test_a_lookup_needs_a_text_of_proper_size(text: str) -> None:
    with pytest.raises(MeshError) as raised:
        validation.lookup(pb.LookupRequest(text=text))
    assert faulty_fields(raised) == ["text"]


def test_the_longest_text_passes() -> None:
    validation.lookup(pb.LookupRequest(text="\U0001f600" * 8_192))


def test_every_fault_of_a_scope_is_named() -> None:
    faulty = pb.Scope(model="m" * 101, instructions_fingerprint="f" * 65, context_fingerprint="f" * 65)
    # An unknown number of an open enum, as a newer client might send.
    faulty.MergeFromString(b"\x08\x63")
    with pytest.raises(MeshError) as raised:
        validation.lookup(pb.LookupRequest(scope=faulty, text="text"))
    assert faulty_fields(raised) == [
        "scope.tier",
        "scope.model",
        "scope.instructions_fingerprint",
        "scope.context_fingerprint",
    ]


def test_every_fault_of_a_put_is_named() -> None:
    request = pb.PutRequest(
        request_id="x",
        answer="x" * 1_048_577,
        model="m" * 101,
        cost_usd_micros=-1,
        ttl=Duration(seconds=3601),
        embedding=b"12345",
    )
    with pytest.raises(MeshError) as raised:
        validate_put(request)
    assert faulty_fields(raised) == ["request_id", "text", "answer", "model", "cost_usd_micros", "ttl", "embedding"]


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_to_live_is_positive(seconds: int) -> None:
    with pytest.raises(MeshError) as raised:
        validate_put(put(ttl=Duration(seconds=seconds)))
    assert faulty_fields(raised) == ["ttl"]


@pytest.mark.parametrize(
    "components",
    [
        [0.0] * DIMENSION,
        [float("nan")] * DIMENSION,
        [float("inf")] + [0.0] * (DIMENSION - 1),
        [3e38] * DIMENSION,
        [1.0] + [0.0] * (DIMENSION - 2),
        [1.0] + [0.0] * DIMENSION,
    ],
)
def test_what_is_no_unit_vector_is_refused(components: list[float]) -> None:
    with pytest.raises(MeshError) as raised:
        validate_put(put(embedding=struct.pack(f"<{len(components)}f", *components)))
    assert faulty_fields(raised) == ["embedding"]


def test_without_a_model_any_vectors_are_taken_and_ignored() -> None:
    validation.PutValidator(3600, 0)(put(embedding=struct.pack("<3f", 1.0, 0.0, 0.0)))


def test_embed_bounds() -> None:
    for texts in ([], ["x"] * 65):
        with pytest.raises(MeshError) as raised:
            validation.embed(pb.EmbedRequest(texts=texts))
        assert faulty_fields(raised) == ["texts"]
    with pytest.raises(MeshError) as raised:
        validation.embed(pb.EmbedRequest(texts=["fine", "", "x" * 40_000]))
    assert faulty_fields(raised) == ["texts[1]", "texts[2]"]


def test_the_default_time_to_live() -> None:
    assert convert.ttl(put(), 77.0) == 77.0
    assert convert.ttl(put(ttl=Duration(seconds=5, nanos=500_000_000)), 77.0) == 5.5
