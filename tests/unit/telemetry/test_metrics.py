import pytest

from libs.telemetry.catalogue import CACHE_LOOKUPS, GRPC_SERVER_CALL_DURATION, SERVER_IN_FLIGHT
from libs.telemetry.metrics import Metrics


def test_what_was_counted_is_exposed() -> None:
    metrics = Metrics("test")
    metrics.counter(CACHE_LOOKUPS).labels("exact").inc(2)
    metrics.histogram(GRPC_SERVER_CALL_DURATION).labels("/a.B/C", "OK").observe(0.002)
    metrics.gauge(SERVER_IN_FLIGHT).set(7)

    page = metrics.exposition().decode()

    assert 'agentmesh_cache_lookups_total{layer="exact"} 2.0' in page
    assert 'grpc_server_call_duration_seconds_bucket{grpc_method="/a.B/C",grpc_status="OK",le="0.002"} 1.0' in page
    assert "agentmesh_server_in_flight 7.0" in page


def test_a_metric_cannot_be_asked_for_as_another_kind() -> None:
    metrics = Metrics("test")

    with pytest.raises(ValueError, match="is a counter"):
        metrics.gauge(CACHE_LOOKUPS)
    metrics.counter(CACHE_LOOKUPS)
    with pytest.raises(ValueError, match="is a counter"):
        metrics.gauge(CACHE_LOOKUPS)


def test_two_processes_in_one_test_do_not_share_a_registry() -> None:
    first, second = Metrics("a"), Metrics("b")
    first.counter(CACHE_LOOKUPS).labels("miss").inc()

    assert "agentmesh_cache_lookups" not in second.exposition().decode()
