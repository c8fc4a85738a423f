"""The dashboard in a real browser, fed by real calls."""

from contextlib import AsyncExitStack

import pytest

from agentmesh.monitoring.v1.monitoring_pb2 import ModelCallEvent
from agentmesh.types.v1.types_pb2 import CACHE_LAYER_EXACT_REDIS, TokenUsage
from libs.store.embedded import EmbeddedRedis
from tests.integration.monitoring.browser import watching
from tests.integration.monitoring.replicas import batch, model_call, replica, service, turn

pytestmark = pytest.mark.browser


async def test_figures_change_while_usage_is_reported(redis: EmbeddedRedis, chromium: str) -> None:
    haiku = ModelCallEvent(
        model="claude-haiku-5-5", usage=TokenUsage(input_tokens=900, output_tokens=80), cost_usd_micros=1_500_000
    )
    opus = ModelCallEvent(
        model="claude-opus-5-5", usage=TokenUsage(input_tokens=100, output_tokens=20), cost_usd_micros=4_500_000
    )
    async with replica(redis.url) as served, watching(chromium, served.dashboard) as watch:
        await watch.until("#connection", "Live")
        await watch.until("#turns", "0")

        await served.stub.ReportUsage(batch(1, [turn("ta"), model_call("ta", haiku)]), metadata=service())
        await watch.until("#turns", "1")
        await watch.until("#cost", "$1.50")
        assert await watch.text("#error-rate") == "0 %"
        assert await watch.text("#rate") != "0"

        hit = turn("tb", 2.0, cache_layer=CACHE_LAYER_EXACT_REDIS, saved_usd_micros=250_000)
        events = [hit, turn("tb", 900.0, error_reason="MODEL_UNAVAILABLE"), turn("tb"), model_call("tb", opus)]
        await served.stub.ReportUsage(batch(2, events), metadata=service())
        await watch.until("#turns", "4")
        assert await watch.text("#error-rate") == "25 %"
        assert await watch.text("#hit-rate") == "25 %"
        assert await watch.text("#cost") == "$6.00"
        assert await watch.text("#saved") == "$0.2500"
        assert (await watch.text("#tokens-in"), await watch.text("#tokens-out")) == ("1,000", "100")
        assert await watch.page.locator("#models th").all_inner_texts() == ["claude-opus-5-5", "claude-haiku-5-5"]
        await watch.drawn("#traffic-chart", "highest 0.20")

        assert watch.complaints == []
        assert watch.hosts == {served.dashboard.split("/")[2]}


async def test_a_lost_store_is_told_and_the_figures_before_it_stay(redis: EmbeddedRedis, chromium: str) -> None:
    async with replica(redis.url) as served, watching(chromium, served.dashboard) as watch:
        await served.stub.ReportUsage(batch(1, [turn("ta"), turn("ta")]), metadata=service())
        await watch.until("#turns", "2")

        redis.stop()
        await watch.until("#connection", "Store unreachable")
        assert "has not answered since" in await watch.text("#notice")
        assert await watch.text("#turns") == "2"

        redis.start()
        await watch.until("#connection", "Live")
        assert await watch.page.is_hidden("#notice")
        assert await watch.text("#turns") == "2"


async def test_a_page_opened_while_the_store_is_lost_shows_no_zeros(redis: EmbeddedRedis, chromium: str) -> None:
    redis.stop()
    async with replica(redis.url) as served, watching(chromium, served.dashboard) as watch:
        await watch.until("#connection", "Store unreachable")
        figures = await watch.page.locator(".figure").all_inner_texts()

    assert {figure.strip() for figure in figures} == {"\N{EN DASH}"}


async def test_a_page_says_that_it_lost_its_replica(redis: EmbeddedRedis, chromium: str) -> None:
    async with AsyncExitStack() as page_outlives_replica:
        async with replica(redis.url) as served:
            watch = await page_outlives_replica.enter_async_context(watching(chromium, served.dashboard))
            await watch.until("#connection", "Live")
        await watch.until("#connection", "Reconnecting")


async def test_the_token_travels_from_the_page_to_its_stream(redis: EmbeddedRedis, chromium: str) -> None:
    async with (
        replica(redis.url, dashboard_token="tok-1") as served,
        watching(chromium, f"{served.dashboard}?token=tok-1") as watch,
    ):
        await watch.until("#connection", "Live")
        assert watch.complaints == []


@pytest.mark.parametrize("width", [360, 768, 1280])
async def test_the_page_fits_its_window_and_its_charts_can_be_read_as_a_table(
    redis: EmbeddedRedis, chromium: str, width: int
) -> None:
    async with replica(redis.url) as served, watching(chromium, served.dashboard, width=width) as watch:
        await served.stub.ReportUsage(batch(1, [turn("ta")]), metadata=service())
        await watch.until("#turns", "1")
        await watch.page.click("#numbers summary")

        assert await watch.page.evaluate("document.documentElement.scrollWidth") <= width
        assert await watch.page.locator("#points tr").count() >= 60
        assert watch.complaints == []
