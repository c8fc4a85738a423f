import json
from collections.abc import Iterator

import grpc
import pytest
import structlog

from libs.core import context
from libs.core.errors import MeshError, Reason, not_found
from libs.server.spec import Access, MethodPolicy
from libs.telemetry import logs
from libs.testing.grpc_context import FakeServicerContext
from tests.unit.server.fakes import METHOD, Harness, bearer, echo

PARENT = f"00-{'a' * 32}-{'b' * 16}-00"


@pytest.fixture
def _json_logs() -> Iterator[None]:
    logs.configure("test", "info", "json")
    yield
    structlog.reset_defaults()


def finished(captured: bytes) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in captured.splitlines()]
    return [line for line in lines if line["event"] == "rpc.finished"]


@pytest.mark.usefixtures("_json_logs")
async def test_a_call_leaves_one_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    harness = Harness()

    async def handler(request: object, servicer_context: FakeServicerContext) -> object:
        context.require().log_fields["model"] = "m1"
        await harness.clock.sleep(0)
        harness.clock.advance(0.25)
        return request

    serve = harness.unary(handler, MethodPolicy(Access.USER))
    await serve("hello", FakeServicerContext([*bearer("user"), ("traceparent", PARENT)], timeout=5.0))

    (line,) = finished(capfdbinary.readouterr().out)
    assert line["method"] == METHOD
    assert line["code"] == "OK"
    assert line["duration_ms"] == 250.0
    assert line["tenant_id"] == "t1"
    assert line["trace_id"] == "a" * 32
    assert line["model"] == "m1"
    assert "hello" not in json.dumps(line)
    assert "user" not in json.dumps(list(line.values()))


@pytest.mark.usefixtures("_json_logs")
async def test_a_failed_call_says_why(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async def handler(request: object, servicer_context: FakeServicerContext) -> object:
        raise not_found("job")

    with pytest.raises(grpc.aio.AbortError):
        await Harness().unary(handler)(None, FakeServicerContext())

    (line,) = finished(capfdbinary.readouterr().out)
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "NOT_FOUND")


@pytest.mark.usefixtures("_json_logs")
async def test_housekeeping_is_not_logged_while_it_works(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    policy = MethodPolicy(Access.PUBLIC, housekeeping=True)

    await Harness().unary(echo, policy)(None, FakeServicerContext())

    assert finished(capfdbinary.readouterr().out) == []


async def test_durations_are_counted_by_method_and_status() -> None:
    harness = Harness()

    async def handler(request: object, servicer_context: FakeServicerContext) -> object:
        if request == "bad":
            raise MeshError(Reason.STORE_UNAVAILABLE)
        return request

    serve = harness.unary(handler)
    await serve("good", FakeServicerContext())
    with pytest.raises(grpc.aio.AbortError):
        await serve("bad", FakeServicerContext())

    page = harness.telemetry.metrics.exposition().decode()
    for status in ("OK", "UNAVAILABLE"):
        assert f'_seconds_count{{grpc_method="{METHOD}",grpc_status="{status}"}} 1.0' in page
