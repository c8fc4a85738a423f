"""What the dashboard's page is told, as JSON; `web/app.js` reads exactly these names."""

from typing import Final

import orjson

from services.monitoring.events import Tokens
from services.monitoring.overview import Overview, Point
from services.monitoring.tally import ModelTally

STORE_UNREACHABLE: Final = "store_unreachable"
LIVE: Final = "live"


def live_frame(overview: Overview) -> bytes:
    """The figures of now."""
    total = overview.total
    return orjson.dumps(
        {
            "state": LIVE,
            "at": overview.at,
            "window_seconds": overview.window_seconds,
            "point_seconds": overview.point_seconds,
            "turns": total.turns,
            "turns_per_second": overview.turns_per_second(),
            "errors": total.errors,
            "cache_hits": total.cache_hits,
            "degraded": total.degraded,
            "p50_ms": total.latency.quantile(0.5),
            "p95_ms": total.latency.quantile(0.95),
            "p99_ms": total.latency.quantile(0.99),
            "tokens": _tokens(total.tokens),
            "cost_usd_micros": total.cost_usd_micros,
            "saved_usd_micros": total.saved_usd_micros,
            "models": [_model(name, part) for name, part in overview.models()],
            "points": [_point(point) for point in overview.points],
        }
    )


def unreachable_frame(at: float, since: float) -> bytes:
    """The store does not answer: there are no figures, which is not the same as zeros.

    Args:
        at: now, Unix seconds.
        since: when it was first found not to answer, Unix seconds.
    """
    return orjson.dumps({"state": STORE_UNREACHABLE, "at": at, "since": since})


def _tokens(tokens: Tokens) -> dict[str, int]:
    return {
        "input": tokens.uncached_input,
        "output": tokens.output,
        "cache_read": tokens.cache_read,
        "cache_creation": tokens.cache_creation,
    }


def _model(name: str, part: ModelTally) -> dict[str, object]:
    return {
        "model": name,
        "calls": part.calls,
        "errors": part.errors,
        "tokens": _tokens(part.tokens),
        "cost_usd_micros": part.cost_usd_micros,
    }


def _point(point: Point) -> dict[str, float]:
    tally = point.tally
    return {
        "start": point.start,
        "turns": tally.turns,
        "errors": tally.errors,
        "cache_hits": tally.cache_hits,
        "cost_usd_micros": tally.cost_usd_micros,
        "p50_ms": tally.latency.quantile(0.5),
        "p95_ms": tally.latency.quantile(0.95),
    }
