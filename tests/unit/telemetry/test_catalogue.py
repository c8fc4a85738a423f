import re

import pytest

from libs.telemetry.catalogue import (
    CACHE_LOOKUPS,
    GRPC_LATENCY_BUCKETS,
    GRPC_SERVER_CALL_DURATION,
    ROUTER_COST,
    UNITS,
    MetricSpec,
    all_specs,
    exposed_name,
)
from libs.telemetry.metrics import Metrics

_NAME = re.compile(r"(grpc|gen_ai|http)(\.[a-z_]+)+|agentmesh\.[a-z]+\.[a-z_]+")
_FORBIDDEN_LABELS = {"user", "user_id", "tenant", "tenant_id", "conversation_id", "trace_id"}


def test_names_are_unique_as_prometheus_shows_them() -> None:
    names = [exposed_name(spec) for spec in all_specs()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_every_metric_keeps_the_rules(spec: MetricSpec) -> None:
    assert _NAME.fullmatch(spec.name)
    assert spec.unit in UNITS
    assert not _FORBIDDEN_LABELS & set(spec.labels)
    assert spec.help.endswith(".")
    assert bool(spec.buckets) == (spec.kind == "histogram")
    assert list(spec.buckets) == sorted(set(spec.buckets))


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_every_metric_can_be_made(spec: MetricSpec) -> None:
    metrics = Metrics("test")
    make = {"counter": metrics.counter, "gauge": metrics.gauge, "histogram": metrics.histogram}[spec.kind]

    assert make(spec) is make(spec)


def test_latency_buckets_are_those_of_grfc_a66() -> None:
    assert len(GRPC_LATENCY_BUCKETS) == 41
    assert GRPC_LATENCY_BUCKETS[:4] == (0.0, 0.00001, 0.00005, 0.0001)
    assert GRPC_LATENCY_BUCKETS[-1] == 100.0


def test_names_carry_their_unit_once() -> None:
    assert exposed_name(GRPC_SERVER_CALL_DURATION) == "grpc_server_call_duration_seconds"
    assert exposed_name(ROUTER_COST) == "agentmesh_router_cost_usd_micros"
    assert exposed_name(CACHE_LOOKUPS) == "agentmesh_cache_lookups"
