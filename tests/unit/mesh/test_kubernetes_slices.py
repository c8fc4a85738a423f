from collections.abc import Iterable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.mesh.resolver.base import ResolvedEndpoint
from libs.mesh.resolver.endpoint_slices import ApiError, EndpointSlices, MalformedObjectError
from libs.testing.endpoint_slices import EndpointSlice, Object, endpoint


def one(
    name: str, *endpoints: Object, family: str = "IPv4", port: int | None = 80, called: str = "grpc"
) -> EndpointSlice:
    return EndpointSlice(name=name, service="svc", endpoints=endpoints, ports={called: port}, family=family)


def listed(slices: Iterable[EndpointSlice], version: int = 7) -> Object:
    items = [found.rendered(3) for found in slices]
    return {"kind": "EndpointSliceList", "metadata": {"resourceVersion": str(version)}, "items": items}


def state(*slices: EndpointSlice, port: str = "grpc") -> EndpointSlices:
    found = EndpointSlices(port)
    found.replace(listed(slices))
    return found


def addresses(found: EndpointSlices) -> list[str]:
    return [each.address for each in found.endpoints()]


def event(kind: str, found: EndpointSlice, version: int) -> Object:
    return {"type": kind, "object": found.rendered(version)}


def test_slices_are_merged_and_sorted() -> None:
    found = state(one("b", endpoint("10.0.0.3", zone="z2")), one("a", endpoint("10.0.0.2"), endpoint("10.0.0.1")))
    assert found.endpoints() == (
        ResolvedEndpoint("10.0.0.1:80"),
        ResolvedEndpoint("10.0.0.2:80"),
        ResolvedEndpoint("10.0.0.3:80", "z2"),
    )
    assert found.version == "7"


def test_nothing_is_known_of_a_service_that_does_not_exist() -> None:
    found = EndpointSlices("grpc")
    found.replace({"metadata": {"resourceVersion": "1"}, "items": None})
    assert found.endpoints() == ()
    assert found.unknown_port() == ""


@pytest.mark.parametrize(
    ("told", "used"),
    [
        (endpoint("10.0.0.1"), True),
        ({"addresses": ["10.0.0.1"]}, True),
        ({"addresses": ["10.0.0.1"], "conditions": None}, True),
        (endpoint("10.0.0.1", ready=True), True),
        (endpoint("10.0.0.1", ready=False), False),
        (endpoint("10.0.0.1", ready=False, serving=True), False),
        (endpoint("10.0.0.1", ready=False, serving=False, terminating=True), False),
        (endpoint("10.0.0.1", ready=False, serving=True, terminating=True), True),
        (endpoint("10.0.0.1", ready=False, terminating=True), True),
        # publishNotReadyAddresses: ready whatever else it is.
        (endpoint("10.0.0.1", ready=True, serving=False, terminating=True), True),
    ],
)
def test_conditions_say_who_is_used(told: Object, used: bool) -> None:
    assert bool(addresses(state(one("a", told)))) is used


def test_draining_endpoints_are_used_when_nobody_is_ready() -> None:
    draining = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    down = endpoint("10.0.0.3", ready=False, serving=False)
    assert addresses(state(one("a", draining, endpoint("10.0.0.2"), down))) == ["10.0.0.2:80"]
    assert addresses(state(one("a", draining, down))) == ["10.0.0.1:80"]


def test_ipv4_is_preferred_and_ipv6_stands_in_brackets() -> None:
    six = one("six", endpoint("fd00::1"), family="IPv6")
    assert addresses(state(six)) == ["[fd00::1]:80"]
    assert addresses(state(six, one("four", endpoint("10.0.0.1")))) == ["10.0.0.1:80"]
    assert addresses(state(six, one("four", endpoint("10.0.0.1", ready=False)))) == ["[fd00::1]:80"]
    assert addresses(state(one("name", endpoint("pod.example"), family="FQDN"))) == []


def test_an_address_in_two_slices_is_there_once() -> None:
    moved = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    both = (one("a", endpoint("10.0.0.1", zone="z")), one("b", moved), one("c", endpoint("10.0.0.1")))
    for order in (both, both[::-1]):
        assert state(*order).endpoints() == (ResolvedEndpoint("10.0.0.1:80", "z"),)


def test_the_port_is_a_number_or_a_name_in_each_slice() -> None:
    slices = (one("a", endpoint("10.0.0.1"), port=80), one("b", endpoint("10.0.0.2"), port=81))
    assert addresses(state(*slices)) == ["10.0.0.1:80", "10.0.0.2:81"]
    assert addresses(state(*slices, port="9")) == ["10.0.0.1:9", "10.0.0.2:9"]
    assert addresses(state(one("a", endpoint("10.0.0.1"), port=None))) == []


def test_a_port_that_nobody_has_is_named() -> None:
    found = state(one("a", endpoint("10.0.0.1"), called="http"))
    assert found.endpoints() == ()
    assert found.unknown_port() == "no port is named 'grpc', only 'http'"
    assert state(one("a", endpoint("10.0.0.1"))).unknown_port() == ""
    assert state(one("a", called="http"), port="80").unknown_port() == ""


def test_events_move_the_state_and_its_version() -> None:
    found = state()
    found.apply(event("ADDED", one("a", endpoint("10.0.0.1")), 8))
    assert (addresses(found), found.version) == (["10.0.0.1:80"], "8")
    found.apply(event("MODIFIED", one("a", endpoint("10.0.0.2")), 9))
    assert (addresses(found), found.version) == (["10.0.0.2:80"], "9")
    found.apply({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}})
    assert (addresses(found), found.version) == (["10.0.0.2:80"], "20")
    found.apply(event("DELETED", one("a"), 21))
    assert (addresses(found), found.version) == ([], "21")


@pytest.mark.parametrize(("code", "gone"), [(410, True), (500, False), (None, False)])
def test_an_error_event_is_raised(code: int | None, gone: bool) -> None:
    status = {"kind": "Status", "code": code, "reason": "Expired", "message": "too old resource version"}
    with pytest.raises(ApiError, match="Expired too old resource version") as raised:
        state().apply({"type": "ERROR", "object": status})
    assert raised.value.gone is gone


def _slice_with(**changed: object) -> Object:
    return {"type": "ADDED", "object": {**one("b", endpoint("10.0.0.9")).rendered(8), **changed}}


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": []},
        {"type": "SURPRISE", "object": one("b").rendered(8)},
        {"type": "BOOKMARK", "object": {}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": 8}}},
        _slice_with(metadata=None),
        _slice_with(metadata={"resourceVersion": "8"}),
        _slice_with(metadata={"resourceVersion": "8", "name": ""}),
        _slice_with(endpoints={}),
        _slice_with(endpoints=["10.0.0.1"]),
        _slice_with(endpoints=[{}]),
        _slice_with(endpoints=[{"addresses": []}]),
        _slice_with(endpoints=[{"addresses": [4]}]),
        _slice_with(endpoints=[{"addresses": ["10.0.0.1"], "conditions": True}]),
        _slice_with(endpoints=[{"addresses": ["10.0.0.1"], "zone": 4}]),
        _slice_with(ports=4),
        _slice_with(ports=[4]),
        _slice_with(ports=[{"name": 4, "port": 80}]),
        _slice_with(ports=[{"name": "grpc", "port": "80"}]),
    ],
)
def test_what_is_malformed_changes_nothing(told: object) -> None:
    found = state(one("a", endpoint("10.0.0.1")))
    with pytest.raises(MalformedObjectError):
        found.apply(told)
    assert (addresses(found), found.version) == (["10.0.0.1:80"], "7")


@pytest.mark.parametrize("told", [None, [], {}, {"metadata": {}}, {"metadata": {"resourceVersion": "1"}, "items": [4]}])
def test_a_malformed_list_changes_nothing(told: object) -> None:
    found = state(one("a", endpoint("10.0.0.1")))
    with pytest.raises(MalformedObjectError):
        found.replace(told)
    assert (addresses(found), found.version) == (["10.0.0.1:80"], "7")


conditions = st.sampled_from([None, True, False])
endpoints = st.builds(
    lambda host, ready, serving, terminating, zone: endpoint(
        f"10.0.0.{host}", ready=ready, serving=serving, terminating=terminating, zone=zone
    ),
    st.integers(1, 4),
    conditions,
    conditions,
    conditions,
    st.sampled_from([None, "a", "b"]),
)
slices = st.builds(
    lambda name, found, family, port, called: one(name, *found, family=family, port=port, called=called),
    st.sampled_from("abcd"),
    st.lists(endpoints, max_size=3),
    st.sampled_from(["IPv4", "IPv4", "IPv6", "FQDN"]),
    st.sampled_from([80, 81, None]),
    st.sampled_from(["grpc", "grpc", "http"]),
)
seeded = settings(derandomize=True, deadline=None, max_examples=150)


@seeded
@given(st.lists(slices, max_size=4), st.lists(st.tuples(st.booleans(), slices), max_size=12), st.integers(0, 12))
def test_watching_ends_where_a_fresh_list_does(
    start: list[EndpointSlice], steps: Sequence[tuple[bool, EndpointSlice]], relist_at: int
) -> None:
    truth = {found.name: found for found in start}
    watched = state(*truth.values())
    for number, (deleted, found) in enumerate(steps):
        if number == relist_at:
            watched.replace(listed(truth.values(), number + 10))
        if deleted:
            known = truth.pop(found.name, None)
            watched.apply(event("DELETED", known or found, number + 10))
        else:
            kind = "MODIFIED" if found.name in truth else "ADDED"
            truth[found.name] = found
            watched.apply(event(kind, found, number + 10))
        assert watched.endpoints() == state(*truth.values()).endpoints()


@seeded
@given(
    st.lists(slices, max_size=4, unique_by=lambda found: found.name).flatmap(
        lambda s: st.tuples(st.just(s), st.permutations(s))
    )
)
def test_the_order_of_the_slices_makes_no_difference(orders: tuple[list[EndpointSlice], list[EndpointSlice]]) -> None:
    one_way, other_way = orders
    added = state()
    for number, found in enumerate(other_way):
        added.apply(event("ADDED", found, number + 10))
    assert added.endpoints() == state(*one_way).endpoints()


@seeded
@given(st.lists(slices, max_size=4))
def test_the_set_is_sorted_and_names_each_address_once(found: list[EndpointSlice]) -> None:
    names = addresses(state(*found))
    assert names == sorted(set(names))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "object", "metadata", "name", "resourceVersion", "endpoints", "addresses", "ports", "port"]
            ),
            inner | st.sampled_from(["ADDED", "BOOKMARK", "DELETED"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@seeded
@given(json)
def test_whatever_is_said_is_understood_or_refused(told: object) -> None:
    found = state(one("a", endpoint("10.0.0.1")))
    for take in (found.apply, found.replace):
        with suppress(MalformedObjectError, ApiError):
            take(told)
    assert isinstance(found.endpoints(), tuple)
