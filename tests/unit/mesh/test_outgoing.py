import grpc

from libs.core.clock import SystemClock
from libs.core.context import RequestContext, scope
from libs.core.deadline import Deadline
from libs.mesh.outgoing import OutgoingMetadata
from libs.mesh.service_token import StaticToken

CLOCK = SystemClock()


class ColdTokens:
    def __init__(self) -> None:
        self.fetched = 0

    def cached(self) -> None:
        return None

    async def fetch(self) -> str:
        self.fetched += 1
        return "fresh"


def request(traceparent: str = "00-a-b-01", token: str = "internal") -> RequestContext:
    return RequestContext(Deadline.after(10, CLOCK), traceparent, token=token)


def pairs(metadata: grpc.aio.Metadata | None) -> list[tuple[str, str | bytes]]:
    assert metadata is not None
    return list(metadata)


def test_nothing_outside_of_a_request() -> None:
    assert pairs(OutgoingMetadata(None).build(None)) == []


def test_sends_trace_context_and_token_of_the_request() -> None:
    with scope(request()):
        built = OutgoingMetadata(StaticToken("mine")).build(None)
    assert pairs(built) == [("traceparent", "00-a-b-01"), ("authorization", "Bearer internal")]


def test_is_built_once_per_request() -> None:
    outgoing = OutgoingMetadata(None)
    with scope(request()):
        first = outgoing.build(None)
        assert outgoing.build(None) is first
    with scope(request(traceparent="00-c-d-01")):
        assert pairs(outgoing.build(None))[0] == ("traceparent", "00-c-d-01")


def test_a_new_span_of_the_same_request_is_seen() -> None:
    outgoing = OutgoingMetadata(None)
    with scope(request()) as current:
        outgoing.build(None)
        current.traceparent = "00-a-e-01"
        assert pairs(outgoing.build(None))[0] == ("traceparent", "00-a-e-01")


def test_uses_its_own_token_where_the_request_has_none() -> None:
    outgoing = OutgoingMetadata(StaticToken("mine"))
    assert pairs(outgoing.build(None)) == [("authorization", "Bearer mine")]
    with scope(request(token="")):
        assert ("authorization", "Bearer mine") in pairs(outgoing.build(None))


async def test_asks_for_a_fetch_when_nothing_is_cached() -> None:
    outgoing = OutgoingMetadata(ColdTokens())
    assert outgoing.build(None) is None
    token = await outgoing.fetch_token()
    assert pairs(outgoing.build(None, token)) == [("authorization", "Bearer fresh")]


def test_the_callers_own_metadata_wins() -> None:
    outgoing = OutgoingMetadata(ColdTokens())
    assert pairs(outgoing.build((("authorization", "Bearer key"),))) == [("authorization", "Bearer key")]
    with scope(request()):
        built = pairs(outgoing.build(grpc.aio.Metadata(("authorization", "Bearer key"), ("x", "1"))))
    assert built == [("traceparent", "00-a-b-01"), ("authorization", "Bearer key"), ("x", "1")]


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(StaticToken("secret"))
