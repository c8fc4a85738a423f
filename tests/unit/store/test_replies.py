import pytest

from libs.store import replies


def test_readers_give_what_redis_answered() -> None:
    assert replies.integer(b"12") == 12
    assert replies.integer(7) == 7
    assert replies.blob(b"x") == b"x"
    assert replies.optional_blob(None) is None
    assert replies.array(None) == []
    assert replies.blobs([b"a", b"b"]) == [b"a", b"b"]
    assert replies.integers([1, b"2"]) == [1, 2]
    assert replies.pairs([b"a", b"1", b"b", b"2"]) == {b"a": b"1", b"b": b"2"}


def test_readers_refuse_what_they_did_not_expect() -> None:
    with pytest.raises(TypeError, match="integer"):
        replies.integer(None)
    with pytest.raises(TypeError, match="string"):
        replies.blob(3)
    with pytest.raises(TypeError, match="array"):
        replies.array(b"x")
    with pytest.raises(ValueError, match="shorter"):
        replies.pairs([b"a", b"1", b"b"])
