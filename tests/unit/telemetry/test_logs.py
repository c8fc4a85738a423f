import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from libs.telemetry import logs
from libs.telemetry.logs import EventWriter


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = handlers, level


def lines(capfdbinary: pytest.CaptureFixture[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_an_event_is_one_json_object(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "info", "json")

    logs.get("keys").info("key.revoked", key_id="k1", count=2)

    (line,) = lines(capfdbinary)
    assert line.pop("time")
    assert line == {
        "event": "key.revoked",
        "key_id": "k1",
        "count": 2,
        "level": "info",
        "part": "keys",
        "service": "auth",
    }


def test_events_below_the_level_are_dropped(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "warning", "json")

    logs.get("keys").info("key.revoked")
    EventWriter("server", "rpc.finished").write({"method": "/a.B/C"})

    assert lines(capfdbinary) == []


def test_an_exception_brings_its_traceback(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "info", "json")

    logs.get("server").error("rpc.failed", exc_info=ZeroDivisionError("by zero"))

    (line,) = lines(capfdbinary)
    assert "ZeroDivisionError: by zero" in str(line["exception"])


def test_the_fast_writer_writes_what_the_logger_would(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "info", "json")

    logs.get("server").info("rpc.finished", method="/a.B/C", duration_ms=1.5)
    EventWriter("server", "rpc.finished").write({"method": "/a.B/C", "duration_ms": 1.5})

    ordinary, fast = lines(capfdbinary)
    assert ordinary.keys() == fast.keys()
    del ordinary["time"], fast["time"]
    assert ordinary == fast


def test_the_fast_writer_speaks_to_people_too(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "info", "console")

    EventWriter("server", "rpc.finished").write({"method": "/a.B/C"})

    assert b"rpc.finished" in capfdbinary.readouterr().out


def test_what_libraries_complain_about_comes_in_the_same_form(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("auth", "info", "json")

    logging.getLogger("some.library").warning("lost %s", "it")
    logging.getLogger("some.library").info("chatter")

    (line,) = lines(capfdbinary)
    assert (line["event"], line["message"], line["part"]) == ("library.message", "lost it", "some.library")
