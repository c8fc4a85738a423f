"""The service over real gRPC and a real Redis."""

from collections.abc import Mapping

import aiohttp
import grpc
import pytest

from agentmesh.monitoring.v1.monitoring_pb2 import GetOverviewRequest, ModelCallEvent
from agentmesh.types.v1.types_pb2 import CACHE_LAYER_SEMANTIC, TokenUsage
from libs.core.errors import Reason
from libs.mesh.errors import decode
from libs.store.connection import connect
from libs.store.embedded import EmbeddedRedis
from libs.store.replies import blobs, integer
from tests.integration.monitoring.replicas import batch, bearer, model_call, replica, service, turn

OPERATOR = bearer("root", "admin")


async def test_replicas_add_up_and_a_repeated_batch_adds_nothing(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as one, replica(redis.url) as other:
        first = batch(
            1, [turn("ta"), turn("ta", error_reason="RATE_LIMITED"), turn("tb", cache_layer=CACHE_LAYER_SEMANTIC)]
        )
        assert (await one.stub.ReportUsage(first, metadata=service())).accepted_count == 3
        assert (await other.stub.ReportUsage(first, metadata=service())).accepted_count == 0
        assert (await other.stub.ReportUsage(batch(2, [turn("ta")]), metadata=service())).accepted_count == 1

        for asked in (one, other):
            everyone = await asked.stub.GetOverview(GetOverviewRequest(), metadata=OPERATOR)
            assert (everyone.turn_count, everyone.error_count, everyone.cache_hit_count) == (4, 1, 1)
            own = await asked.stub.GetOverview(GetOverviewRequest(), metadata=bearer("ta", "chat"))
            assert (own.turn_count, own.error_count, own.cache_hit_count) == (3, 1, 0)


@pytest.mark.parametrize("seconds", [10, 300, 3600, 86400])
async def test_every_window_tells_what_was_used_just_now(redis: EmbeddedRedis, seconds: int) -> None:
    usage = TokenUsage(input_tokens=100, output_tokens=20, cache_read_input_tokens=30, cache_creation_input_tokens=4)
    call = model_call("ta", ModelCallEvent(model="claude-haiku-5-5", usage=usage, cost_usd_micros=55))
    async with replica(redis.url) as asked:
        events = [turn("ta", milliseconds) for milliseconds in range(1, 101)]
        await asked.stub.ReportUsage(batch(1, [*events, call, call]), metadata=service())
        request = GetOverviewRequest()
        request.window.seconds = seconds
        overview = await asked.stub.GetOverview(request, metadata=bearer("ta", "chat"))

    assert overview.turn_count == sum(point.turn_count for point in overview.points) == 100
    assert (overview.p50_ms, overview.p95_ms, overview.p99_ms) == pytest.approx((50, 95, 99), rel=0.05)
    assert (overview.cost_usd_micros, overview.usage.cache_read_input_tokens) == (110, 60)
    models = [(part.model, part.call_count, part.cost_usd_micros) for part in overview.models]
    assert models == [("claude-haiku-5-5", 2, 110)]
    assert len(overview.points) <= 120


async def test_only_services_report_and_only_known_callers_ask(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as asked:
        with pytest.raises(grpc.aio.AioRpcError) as reported:
            await asked.stub.ReportUsage(batch(1, [turn("ta")]), metadata=OPERATOR)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await asked.stub.GetOverview(GetOverviewRequest())
    assert reported.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert unknown.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_faulty_batch_is_refused_whole(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as asked:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asked.stub.ReportUsage(batch(1, [turn("ta"), turn("")]), metadata=service())
        overview = await asked.stub.GetOverview(GetOverviewRequest(), metadata=OPERATOR)
    error = decode(raised.value, "monitoring")
    assert [violation.field for violation in error.violations] == ["events[1].tenant_id"]
    assert overview.turn_count == 0


async def test_a_lost_store_is_said_to_come_back_and_the_same_batch_then_counts_once(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as asked:
        await asked.stub.ReportUsage(batch(1, [turn("ta")]), metadata=service())
        redis.stop()
        second = batch(2, [turn("ta"), turn("tb")])
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asked.stub.ReportUsage(second, metadata=service())
        error = decode(raised.value, "monitoring")
        assert (error.reason, error.retry_after) == (Reason.STORE_UNAVAILABLE, 1.0)

        redis.start()
        assert (await asked.stub.ReportUsage(second, metadata=service())).accepted_count == 2
        overview = await asked.stub.GetOverview(GetOverviewRequest(), metadata=OPERATOR)
        assert overview.turn_count == 3


async def test_what_is_kept_expires(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as asked, connect(redis.url) as store:
        await asked.stub.ReportUsage(batch(1, [turn("ta"), turn("tb")]), metadata=service())
        keys = blobs(await store.execute("KEYS", "*"))
        lifetimes = {key: integer(await store.execute("TTL", key)) for key in keys}

    assert {key.split(b":")[1] for key in keys} == {b"{ta}", b"{tb}", b"{all}"}
    assert all(0 < seconds <= 25 * 3600 + 60 for seconds in lifetimes.values())


async def test_the_page_is_open_without_a_token_and_guarded_with_one(redis: EmbeddedRedis) -> None:
    shown = {"Authorization": "Bearer tok-1"}
    async with (
        replica(redis.url) as free,
        replica(redis.url, dashboard_token="tok-1") as guarded,
        aiohttp.ClientSession() as http,
    ):
        assert await status(http, free.dashboard) == 200
        for url in (guarded.dashboard, f"{guarded.dashboard}/events"):
            assert await status(http, url) == 401
            assert await status(http, f"{url}?token=tok-2") == 401
            assert await status(http, f"{url}?token=tok-1") == 200
            assert await status(http, url, shown) == 200


async def test_there_are_only_so_many_viewers(redis: EmbeddedRedis) -> None:
    async with replica(redis.url, dashboard_max_viewers=1) as watched, aiohttp.ClientSession() as http:
        url = f"{watched.dashboard}/events"
        async with http.get(url) as first:
            assert (await first.content.readline()).startswith(b"data: {")
            assert await status(http, url) == 503


async def status(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None) -> int:
    async with http.get(url, headers=headers) as response:
        return response.status
