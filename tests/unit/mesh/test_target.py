import pytest

from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.target import Address, Target, parse_target


def test_reads_both_schemes() -> None:
    assert parse_target("static:///a:1, b:2") == Target("static", (Address("a", 1), Address("b", 2)))
    assert parse_target("dns:///auth.default.svc:50051") == Target("dns", (Address("auth.default.svc", 50051),))


def test_ipv6_stands_in_brackets() -> None:
    target = parse_target("static:///[::1]:50051")
    assert target.addresses == (Address("::1", 50051),)
    assert str(target) == "static:///[::1]:50051"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("localhost:1", "must start with one of static:///, dns:///"),
        ("k8s:///a:1", "scheme 'k8s'"),
        ("static:///", "expected host:port"),
        ("static:///a", "expected host:port"),
        ("static:///a:x", "number from 1 to 65535"),
        ("static:///a:0", "number from 1 to 65535"),
        ("static:///a:65536", "number from 1 to 65535"),
        ("static:///a:1,a:1", "a:1 is listed twice"),
        ("static:///::1:80", "stands in brackets"),
        ("dns:///a:1,b:2", "not a list"),
    ],
)
def test_names_the_fault(text: str, fault: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=fault):
        parse_target(text)


def test_names_every_fault_at_once() -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        parse_target("http:///a:0,b")
    assert len(raised.value.faults) == 3
