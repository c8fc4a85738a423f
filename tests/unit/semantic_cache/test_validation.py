import struct
import uuid

import pytest
from google.protobuf.duration_pb2 import Duration

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import MeshError, Reason
from services.semantic_cache import validation
from tests.unit.semantic_cache.fakes import DIMENSION

REQUEST_ID = str(uuid.UUID(int=1))
TOKEN = bytes(16)
validate_put = validation.PutValidator(max_ttl=3600, dimension=DIMENSION)


def put(
    *,
    ttl: Duration | None = None,
    embedding: bytes = b"",
    lease_token: bytes = b"",
    tags: tuple[str, ...] = (),
    pieces: tuple[int, ...] = (),
    answer: str = "answer",
) -> pb.PutRequest:
    return pb.PutRequest(
        request_id=REQUEST_ID,
        text="text",
        answer=answer,
        ttl=ttl,
        embedding=embedding,
        lease_token=lease_token,
        tags=tags,
        piece_lengths=pieces,
    )


def faulty_fields(raised: pytest.ExceptionInfo[MeshError]) -> list[str]:
    assert raised.value.reason is Reason.INVALID_FIELD
    return [violation.field for violation in raised.value.violations]


@pytest.mark.parametrize("text", ["", " \n", "\u3000", "x" * 32_769, "\U0001f600" * 8_193])
def test_a_question_needs_a_text_of_proper_size(text: str) -> None:
    with pytest.raises(MeshError) as raised:
        validation.lookup(pb.LookupRequest(text=text))
    assert faulty_fields(raised) == ["text"]


def test_the_longest_text_passes() -> None:
    validation.lookup(pb.LookupRequest(text="\U0001f600" * 8_192))


def faulty_scope() -> pb.Scope:
    faulty = pb.Scope(
        model="m" * 101,
        instructions_fingerprint="f" * 65,
        context_fingerprint="f" * 65,
        tools_fingerprint="f" * 65,
        language="l" * 36,
    )
    # An unknown number of an open enum, as a newer client might send.
    faulty.MergeFromString(b"\x08\x63")
    return faulty


SCOPE_FAULTS = [
    "scope.tier",
    "scope.model",
    "scope.language",
    "scope.instructions_fingerprint",
    "scope.tools_fingerprint",
    "scope.context_fingerprint",
]


def test_every_fault_of_a_lookup_is_named() -> None:
    request = pb.LookupRequest(scope=faulty_scope(), max_wait=Duration(seconds=601), max_wrong_rate=0.6)
    with pytest.raises(MeshError) as raised:
        validation.lookup(request)
    assert faulty_fields(raised) == [*SCOPE_FAULTS, "text", "max_wait", "max_wrong_rate"]


@pytest.mark.parametrize("rate", [-0.01, 0.51, float("nan"), float("inf"), float("-inf")])
def test_a_rate_that_bounds_nothing_is_refused(rate: float) -> None:
    with pytest.raises(MeshError) as raised:
        validation.lookup(pb.LookupRequest(text="text", max_wrong_rate=rate))
    assert faulty_fields(raised) == ["max_wrong_rate"]


@pytest.mark.parametrize("rate", [0.0, 5e-324, 0.02, 0.5])
def test_a_rate_that_bounds_something_passes(rate: float) -> None:
    validation.lookup(pb.LookupRequest(text="text", max_wrong_rate=rate))


@pytest.mark.parametrize("wait", [Duration(seconds=-1), Duration(seconds=600, nanos=1), Duration(seconds=2**62)])
def test_nobody_waits_for_ever_or_less_than_nothing(wait: Duration) -> None:
    with pytest.raises(MeshError) as raised:
        validation.lookup(pb.LookupRequest(text="text", max_wait=wait))
    assert faulty_fields(raised) == ["max_wait"]


def test_every_fault_of_a_put_is_named() -> None:
    request = pb.PutRequest(
        request_id="x",
        answer="x" * 1_048_577,
        model="m" * 101,
        cost_usd_micros=-1,
        ttl=Duration(seconds=3601),
        embedding=b"12345",
        lease_token=b"short",
        tags=["fine", "", "t" * 101],
        piece_lengths=[1, 2],
    )
    with pytest.raises(MeshError) as raised:
        validate_put(request)
    assert faulty_fields(raised) == [
        "request_id",
        "text",
        "answer",
        "model",
        "cost_usd_micros",
        "ttl",
        "embedding",
        "lease_token",
        "tags[1]",
        "tags[2]",
        "piece_lengths",
    ]


@pytest.mark.parametrize("ttl", [Duration(), Duration(seconds=-1), Duration(seconds=3600, nanos=1)])
def test_a_time_to_live_is_positive_and_bounded(ttl: Duration) -> None:
    with pytest.raises(MeshError) as raised:
        validate_put(put(ttl=ttl))
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


def test_too_many_tags_and_too_many_pieces() -> None:
    with pytest.raises(MeshError) as raised:
        validate_put(put(tags=("tag",) * 17, pieces=(0,) * 65_537))
    assert faulty_fields(raised) == ["tags", "piece_lengths"]
    validate_put(put(tags=("t" * 100,) * 16))


def test_pieces_add_up_to_the_answer_in_characters() -> None:
    validate_put(put(answer="\U0001f600\U0001f600", pieces=(1, 0, 1)))
    with pytest.raises(MeshError) as raised:
        validate_put(put(answer="\U0001f600\U0001f600", pieces=(4, 4)))
    assert faulty_fields(raised) == ["piece_lengths"]


@pytest.mark.parametrize("token", [b"x" * 15, b"x" * 17, b"\x80" + bytes(15), b"\xff" * 16])
def test_a_lease_token_that_lookup_never_gives_out_is_refused(token: bytes) -> None:
    with pytest.raises(MeshError) as raised:
        validate_put(put(lease_token=token))
    assert faulty_fields(raised) == ["lease_token"]
    for request in (
        pb.RenewLeaseRequest(text="text", lease_token=token),
        pb.ReleaseLeaseRequest(text="text", lease_token=token),
    ):
        with pytest.raises(MeshError) as raised:
            validation.lease(request)
        assert faulty_fields(raised) == ["lease_token"]


def test_every_fault_of_a_release_is_named() -> None:
    request = pb.ReleaseLeaseRequest(scope=faulty_scope())
    request.MergeFromString(b"\x20\x63")
    with pytest.raises(MeshError) as raised:
        validation.lease(request)
    assert faulty_fields(raised) == [*SCOPE_FAULTS, "text", "lease_token", "reason"]
    validation.lease(pb.ReleaseLeaseRequest(text="text", lease_token=TOKEN, reason=pb.RELEASE_REASON_FAILED))


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        (pb.InvalidateRequest(request_id=REQUEST_ID), ["target"]),
        (pb.InvalidateRequest(request_id="x", everything=True), ["request_id"]),
        (pb.InvalidateRequest(request_id=REQUEST_ID, everything=False), ["everything"]),
        (pb.InvalidateRequest(request_id=REQUEST_ID, tag=""), ["tag"]),
        (pb.InvalidateRequest(request_id=REQUEST_ID, tag="t" * 101), ["tag"]),
        (
            pb.InvalidateRequest(request_id=REQUEST_ID, entry=pb.EntryTarget(scope=faulty_scope())),
            [f"entry.{fault}" for fault in [*SCOPE_FAULTS, "text"]],
        ),
        (pb.InvalidateRequest(request_id=REQUEST_ID, scope_prefix=pb.ScopePrefix()), ["scope_prefix.personal"]),
        (
            pb.InvalidateRequest(request_id=REQUEST_ID, scope_prefix=pb.ScopePrefix(personal=False, model="m")),
            ["scope_prefix.tier"],
        ),
        (
            pb.InvalidateRequest(request_id=REQUEST_ID, scope_prefix=pb.ScopePrefix(context_fingerprint="f" * 65)),
            ["scope_prefix.context_fingerprint", "scope_prefix.personal"],
        ),
    ],
)
def test_every_fault_of_an_invalidation_is_named(request_: pb.InvalidateRequest, faults: list[str]) -> None:
    with pytest.raises(MeshError) as raised:
        validation.invalidate(request_)
    assert faulty_fields(raised) == faults


@pytest.mark.parametrize(
    "request_",
    [
        pb.InvalidateRequest(request_id=REQUEST_ID, everything=True),
        pb.InvalidateRequest(request_id=REQUEST_ID, tag="product:4711"),
        pb.InvalidateRequest(request_id=REQUEST_ID, entry=pb.EntryTarget(text="text")),
        pb.InvalidateRequest(request_id=REQUEST_ID, scope_prefix=pb.ScopePrefix(personal=False)),
        # Set, though to what an unset field would say.
        pb.InvalidateRequest(
            request_id=REQUEST_ID,
            scope_prefix=pb.ScopePrefix(personal=True, tier=types_pb2.MODEL_TIER_UNSPECIFIED, model=""),
        ),
    ],
)
def test_what_can_be_invalidated(request_: pb.InvalidateRequest) -> None:
    validation.invalidate(request_)


def test_every_fault_of_a_report_is_named() -> None:
    with pytest.raises(MeshError) as raised:
        validation.report_outcome(pb.ReportOutcomeRequest())
    assert faulty_fields(raised) == ["request_id", "receipt", "outcome"]


@pytest.mark.parametrize("user_id", ["", "u" * 129])
def test_every_fault_of_an_erasure_is_named(user_id: str) -> None:
    with pytest.raises(MeshError) as raised:
        validation.erase_user(pb.EraseUserRequest(user_id=user_id))
    assert faulty_fields(raised) == ["request_id", "user_id"]


def test_embed_bounds() -> None:
    for texts in ([], ["x"] * 65):
        with pytest.raises(MeshError) as raised:
            validation.embed(pb.EmbedRequest(texts=texts))
        assert faulty_fields(raised) == ["texts"]
    with pytest.raises(MeshError) as raised:
        validation.embed(pb.EmbedRequest(texts=["fine", "", "x" * 40_000]))
    assert faulty_fields(raised) == ["texts[1]", "texts[2]"]
