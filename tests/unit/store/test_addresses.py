import pytest

from libs.store.connection import connect
from libs.store.entries import flatten, make_dead_letter, make_entry
from libs.store.link import Limits, parse_address
from libs.store.streams import QueueLimits


def test_a_url_names_server_database_and_credentials() -> None:
    address = parse_address("redis://me:p%40ss@store:6380/3")
    assert (address.host, address.port, address.database) == ("store", 6380, 3)
    assert (address.username, address.password) == ("me", "p@ss")
    assert address.tls is None


def test_defaults_are_those_of_redis() -> None:
    address = parse_address("redis://store")
    assert (address.port, address.database, address.password) == (6379, 0, "")


def test_a_tls_url_verifies_the_server_unless_told_otherwise() -> None:
    verified = parse_address("rediss://store").tls
    assert verified is not None
    assert verified.check_hostname
    trusting = parse_address("rediss://store?ssl_cert_reqs=none").tls
    assert trusting is not None
    assert not trusting.check_hostname


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(parse_address("redis://:secret@store"))


@pytest.mark.parametrize("url", ["http://store", "unix:///tmp/sock", "store:6379", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="starts with"):
        connect(url)


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(timeout=0)
    with pytest.raises(ValueError, match="positive"):
        QueueLimits(max_depth=0)


def test_an_entry_needs_fields_and_leaves_the_reserved_names() -> None:
    assert flatten({"a": b"1", "b": "2"}) == [b"a", b"1", b"b", b"2"]
    with pytest.raises(ValueError, match="at least one"):
        flatten({})
    with pytest.raises(ValueError, match="reserved"):
        flatten({"@origin": "x"})


def test_a_retried_entry_keeps_its_origin_and_its_count() -> None:
    entry = make_entry(b"9-0", {b"@origin": b"1-0", b"@deliveries": b"2", b"job": b"j"}, 1, "c")
    assert (entry.id, entry.origin, entry.deliveries, dict(entry.fields)) == (b"9-0", b"1-0", 3, {b"job": b"j"})


def test_a_dead_letter_tells_why() -> None:
    letter = make_dead_letter(b"9-0", {b"@origin": b"1-0", b"@deliveries": b"5", b"@reason": b"poison", b"job": b"j"})
    assert (letter.origin, letter.deliveries, letter.reason) == (b"1-0", 5, "poison")
    assert dict(letter.fields) == {b"job": b"j"}
