import asyncio

import grpc
import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.monitoring.v1.monitoring_pb2 import ReportUsageRequest, ReportUsageResponse, UsageEvent
from libs.core.errors import MeshError, Reason
from libs.telemetry import logs
from libs.telemetry.catalogue import USAGE_DROPPED
from libs.telemetry.metrics import Metrics
from libs.telemetry.usage import UsageOptions, UsageReporter
from libs.testing.clock import ManualClock


class Monitoring:
    """Counts each request_id once, as the real one does; fails while `down`."""

    def __init__(self) -> None:
        self.down = False
        self.loses_answers = False
        self.refuses: dict[str, MeshError | grpc.RpcError] = {}
        """What it answers to a batch that holds an event of the tenant."""
        self.batches: dict[str, list[str]] = {}

    async def report_usage(self, request: ReportUsageRequest) -> ReportUsageResponse:
        if self.down:
            raise MeshError(Reason.PEER_UNAVAILABLE)
        for event in request.events:
            if event.tenant_id in self.refuses:
                raise self.refuses[event.tenant_id]
        self.batches[request.request_id] = [event.tenant_id for event in request.events]
        if self.loses_answers:
            raise MeshError(Reason.PEER_UNAVAILABLE)
        return ReportUsageResponse(accepted_count=len(request.events))

    @property
    def counted(self) -> list[str]:
        return [tenant for batch in self.batches.values() for tenant in batch]


def reporter(monitoring: Monitoring, **options: int) -> UsageReporter:
    return UsageReporter(monitoring.report_usage, ManualClock(), UsageOptions(**options))


async def test_events_arrive_in_batches_and_in_order() -> None:
    monitoring = Monitoring()
    usage = reporter(monitoring, batch=2)
    for tenant in "abcde":
        usage.record(UsageEvent(tenant_id=tenant))

    await usage.flush()

    assert monitoring.counted == list("abcde")
    assert len(monitoring.batches) == 3
    assert usage.statistics() == (0, 5, 0)


async def test_a_full_buffer_drops_and_counts() -> None:
    metrics = Metrics("test")
    usage = UsageReporter(
        Monitoring().report_usage, ManualClock(), UsageOptions(capacity=2), metrics.counter(USAGE_DROPPED)
    )

    for tenant in "abc":
        usage.record(UsageEvent(tenant_id=tenant))

    assert usage.statistics() == (2, 0, 1)
    assert "agentmesh_usage_dropped_total 1.0" in metrics.exposition().decode()


async def test_what_monitoring_missed_is_sent_when_it_is_back() -> None:
    monitoring = Monitoring()
    usage = reporter(monitoring, batch=2)
    monitoring.down = True
    for tenant in "abc":
        usage.record(UsageEvent(tenant_id=tenant))
    await usage.flush()
    assert usage.statistics().waiting == 3

    monitoring.down = False
    await usage.flush()

    assert monitoring.counted == list("abc")


async def test_a_batch_whose_answer_was_lost_counts_once() -> None:
    monitoring = Monitoring()
    usage = reporter(monitoring)
    usage.record(UsageEvent(tenant_id="a"))
    monitoring.loses_answers = True
    await usage.flush()
    usage.record(UsageEvent(tenant_id="b"))

    monitoring.loses_answers = False
    await usage.flush()

    assert monitoring.counted == ["a", "b"]


def rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


@pytest.mark.parametrize("refusal", [MeshError(Reason.INVALID_FIELD), rpc_error(grpc.StatusCode.INVALID_ARGUMENT)])
async def test_a_batch_refused_for_good_is_dropped_and_does_not_block_the_others(
    refusal: MeshError | grpc.RpcError,
) -> None:
    metrics = Metrics("test")
    monitoring = Monitoring()
    usage = UsageReporter(monitoring.report_usage, ManualClock(), UsageOptions(batch=2), metrics.counter(USAGE_DROPPED))
    monitoring.refuses["b"] = refusal
    for tenant in "abcd":
        usage.record(UsageEvent(tenant_id=tenant))

    await usage.flush()

    assert monitoring.counted == ["c", "d"]
    assert usage.statistics() == (0, 2, 2)
    assert "agentmesh_usage_dropped_total 2.0" in metrics.exposition().decode()


@pytest.mark.parametrize(
    "failure",
    [
        MeshError(Reason.OVERLOADED),
        MeshError(Reason.EXPIRED_CREDENTIALS),
        rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED),
        rpc_error(grpc.StatusCode.CANCELLED),
        grpc.RpcError("without a code"),
    ],
)
async def test_a_batch_that_failed_for_the_time_being_is_sent_again(failure: MeshError | grpc.RpcError) -> None:
    monitoring = Monitoring()
    usage = reporter(monitoring)
    monitoring.refuses["a"] = failure
    usage.record(UsageEvent(tenant_id="a"))
    await usage.flush()
    assert usage.statistics() == (1, 0, 0)

    monitoring.refuses.clear()
    await usage.flush()

    assert monitoring.counted == ["a"]


@given(st.lists(st.sampled_from(["record", "flush", "fail"]), max_size=60), st.integers(1, 4))
def test_every_event_is_waiting_sent_or_dropped(steps: list[str], batch: int) -> None:
    async def scenario() -> None:
        monitoring = Monitoring()
        usage = reporter(monitoring, capacity=5, batch=batch)
        recorded = 0
        for step in steps:
            if step == "record":
                usage.record(UsageEvent(tenant_id=str(recorded)))
                recorded += 1
            else:
                monitoring.down = step == "fail"
                await usage.flush()
            assert sum(usage.statistics()) == recorded
            assert usage.statistics().sent == len(monitoring.counted)

    asyncio.run(scenario())


async def test_a_drain_flushes_once_more() -> None:
    monitoring = Monitoring()
    usage = reporter(monitoring)
    started = asyncio.Event()

    async def run() -> None:
        started.set()
        await usage.run()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await started.wait()
        usage.record(UsageEvent(tenant_id="a"))
        running.cancel()

    assert monitoring.counted == ["a"]


async def test_what_the_last_flush_cannot_send_is_counted_as_dropped() -> None:
    metrics = Metrics("test")
    monitoring = Monitoring()
    usage = UsageReporter(monitoring.report_usage, ManualClock(), UsageOptions(batch=2), metrics.counter(USAGE_DROPPED))
    monitoring.down = True
    started = asyncio.Event()

    async def run() -> None:
        started.set()
        await usage.run()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await started.wait()
        for tenant in "abc":
            usage.record(UsageEvent(tenant_id=tenant))
        running.cancel()

    assert usage.statistics() == (0, 0, 3)
    assert "agentmesh_usage_dropped_total 3.0" in metrics.exposition().decode()


async def test_a_refusal_is_logged_with_its_code() -> None:
    monitoring = Monitoring()
    usage = UsageReporter(monitoring.report_usage, ManualClock(), log=logs.get("test"))
    monitoring.refuses["a"] = MeshError(Reason.INVALID_FIELD)
    usage.record(UsageEvent(tenant_id="a"))

    with structlog.testing.capture_logs() as logged:
        await usage.flush()

    (line,) = logged
    assert (line["event"], line["code"], line["events"]) == ("usage.refused", "INVALID_ARGUMENT", 1)


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"batch": 0}, {"batch": 5_001}, {"interval": 0.0}, {"interval": float("inf")}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        UsageOptions(**options)  # type: ignore[arg-type]  # one of each kind
