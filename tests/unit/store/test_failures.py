import pytest
from redis import exceptions

from libs.core.errors import MeshError, Reason
from libs.store.failures import Guard, reply_error, translate


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("refused"),
        exceptions.TimeoutError("slow"),
        exceptions.BusyLoadingError("LOADING"),
        exceptions.ReadOnlyError("READONLY"),
        exceptions.OutOfMemoryError("OOM"),
        exceptions.MaxConnectionsError("all in use"),
        exceptions.AuthenticationError("WRONGPASS"),
        exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"),
        exceptions.SlotNotCoveredError("slot 1"),
        exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        exceptions.ResponseError("BUSY Redis is busy running a script."),
        exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        exceptions.ResponseError(
            "ERR Error running script (call to f_ab): @user_script:1: -OOM command not allowed when used "
            "memory > 'maxmemory'."
        ),
        ConnectionResetError("peer"),
    ],
)
def test_a_store_that_cannot_serve_now_is_unavailable_with_a_time_to_retry(error: Exception) -> None:
    translated = translate(error)
    assert translated.reason is Reason.STORE_UNAVAILABLE
    assert translated.retry_after == 1.0


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.ResponseError("BUSYGROUP Consumer Group name already exists"),
        exceptions.DataError("Invalid input"),
        exceptions.ClusterCrossSlotError("CROSSSLOT Keys in request don't hash to the same slot"),
    ],
)
def test_what_we_did_wrong_is_internal_and_keeps_its_words_to_the_log(error: Exception) -> None:
    translated = translate(error)
    assert translated.reason is Reason.INTERNAL
    assert str(error) not in str(translated)


def test_every_exception_of_redis_py_is_translated() -> None:
    for name in dir(exceptions):
        kind = getattr(exceptions, name)
        if not (isinstance(kind, type) and issubclass(kind, exceptions.RedisError | exceptions.RedisClusterException)):
            continue
        text = "1 host:1" if issubclass(kind, exceptions.AskError) else "text"
        with pytest.raises(MeshError) as raised, Guard():
            raise kind(text)
        assert raised.value.__cause__ is not None, name


def test_the_guard_leaves_other_errors_alone() -> None:
    with pytest.raises(TimeoutError), Guard():
        raise TimeoutError
    with pytest.raises(ValueError, match="mine"), Guard():
        raise ValueError("mine")


def test_error_replies_become_the_classes_of_redis_py() -> None:
    assert isinstance(reply_error("NOSCRIPT No matching script."), exceptions.NoScriptError)
    assert isinstance(reply_error("LOADING Redis is loading"), exceptions.BusyLoadingError)
    assert type(reply_error("ERR unknown command")) is exceptions.ResponseError
