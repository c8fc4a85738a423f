from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.mesh.target import Address, DnsTarget, KubernetesTarget, StaticTarget, Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("static:///a:1, b:2", StaticTarget((ResolvedEndpoint("a:1"), ResolvedEndpoint("b:2")))),
        (
            "static:///10.0.0.1:50051;zone=a;weight=2, 10.0.0.2:50051; weight=0.5",
            StaticTarget((ResolvedEndpoint("10.0.0.1:50051", "a", 2.0), ResolvedEndpoint("10.0.0.2:50051", "", 0.5))),
        ),
        ("static:///[::1]:50051", StaticTarget((ResolvedEndpoint("[::1]:50051"),))),
        ("dns:///auth.default.svc:50051", DnsTarget(Address("auth.default.svc", 50051))),
        ("k8s:///auth.mesh:50051", KubernetesTarget("auth", "mesh", "50051")),
        ("k8s:///auth.mesh:grpc", KubernetesTarget("auth", "mesh", "grpc")),
        ("k8s:///model-router:grpc-web", KubernetesTarget("model-router", None, "grpc-web")),
    ],
)
def test_reads_every_scheme(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


def test_a_target_is_written_as_it_is_read() -> None:
    for text in (
        "static:///[::1]:50051;zone=a,b:2;weight=2,c:3;zone=b;weight=0.1",
        "dns:///[::1]:50051",
        "k8s:///auth:50051",
        "k8s:///auth.mesh:grpc",
    ):
        assert str(parse_target(text)) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("localhost:1", "must start with one of static:///, dns:///, k8s:///"),
        ("xds:///a:1", "scheme 'xds'"),
        ("static:///", "expected host:port"),
        ("static:///a", "expected host:port"),
        ("static:///a:x", "number from 1 to 65535"),
        ("static:///a:0", "number from 1 to 65535"),
        ("static:///a:65536", "number from 1 to 65535"),
        ("static:///a:" + "9" * 5000, "number from 1 to 65535"),
        ("static:///a:1,a:1", "a:1 is listed twice"),
        ("static:///a:1;zone=x,a:1;zone=y", "a:1 is listed twice"),
        ("static:///::1:80", "stands in brackets"),
        ("static:///a:1;colour=red", "attribute 'colour' is not one of zone, weight"),
        ("static:///a:1;", "attribute '' is not one of zone, weight"),
        ("static:///a:1;zone=", "zone has no value"),
        ("static:///a:1;zone", "zone has no value"),
        ("static:///a:1;weight=", "weight has no value"),
        ("static:///a:1;zone=x;zone=x", "zone is given twice"),
        ("static:///a:1;weight=0", "weight must be a number above 0"),
        ("static:///a:1;weight=-1", "weight must be a number above 0"),
        ("static:///a:1;weight=nan", "weight must be a number above 0"),
        ("static:///a:1;weight=inf", "weight must be a number above 0"),
        ("static:///a:1;weight=much", "weight must be a number above 0"),
        ("dns:///a:1,b:2", "not a list"),
        ("dns:///a:1;zone=x", "dns takes no attributes"),
        ("k8s:///auth", "expected service.namespace:port or service:port"),
        ("k8s:///auth.mesh.svc:1", "expected service.namespace:port or service:port"),
        ("k8s:///:1", "service ''"),
        ("k8s:///auth.:1", "namespace ''"),
        ("k8s:///Auth.mesh:1", "service 'Auth'"),
        ("k8s:///auth.-mesh:1", "namespace '-mesh'"),
        ("k8s:///" + "a" * 64 + ":1", "63 at most"),
        ("k8s:///auth:", "port ''"),
        ("k8s:///auth:0", "the port must be a number from 1 to 65535, or a name"),
        ("k8s:///auth:GRPC", "port 'GRPC'"),
        ("k8s:///a:1,b:1", "service 'a:1,b'"),
    ],
)
def test_names_the_fault(text: str, fault: str) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        parse_target(text)
    assert fault in str(raised.value)
    assert len(raised.value.faults) == 1


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("http:///a:0,b", 3),
        ("static:///a:0;zone=;size=4;weight=x,b", 5),
        ("k8s:///A.B:C", 3),
        ("dns:///a,b:1;zone=x", 3),
    ],
)
def test_names_every_fault_at_once(text: str, faults: int) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        parse_target(text)
    assert len(raised.value.faults) == faults


@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from(["static:///", "dns:///", "k8s:///", ""]),
    st.text(alphabet="aA1.:,;=[]- zonewight", max_size=30) | st.text(max_size=12),
)
def test_any_text_is_a_target_or_refused_as_one(scheme: str, rest: str) -> None:
    with suppress(InvalidConfigurationError):
        target = parse_target(scheme + rest)
        assert parse_target(str(target)) == target
