"""Structured logs on standard output: an event name and key-values, as JSON for machines or coloured for people.

structlog carries the ordinary events. The one event that every call causes goes through `EventWriter`, which writes
the same line without structlog's pipeline.
"""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

Logger = FilteringBoundLogger
"""`log.info("job.finished", job_id=...)`: event names are dotted, lower case and in the past tense."""

_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_ORJSON: Final = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def configure(service: str, level: str, fmt: str) -> None:
    """Decide, once per process, what is logged and how.

    Args:
        service: goes on every line.
        level: the least severe event that is logged: debug, info, warning, error.
        fmt: `json` (one object per line) or `console`.
    """
    structlog.configure(
        processors=_json_processors(service) if fmt == "json" else _console_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer)
        if fmt == "json"
        else structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    # Libraries (grpc, aiohttp, redis) speak through the standard module; only what is wrong with them matters here.
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[_Bridge()], force=True)


def get(name: str) -> Logger:
    """The logger of the part called `name`; configuration is looked up at its first event."""
    return cast("Logger", structlog.get_logger(part=name))


class EventWriter:
    """Writes one very frequent event, at level info: the line `get(name).info(event, ...)` would give, for less.

    Make it after `configure`, which decides the format once and for all.
    """

    __slots__ = ("_enabled", "_event", "_log", "_part", "_service", "_stream")

    def __init__(self, name: str, event: str) -> None:
        renderer = structlog.get_config()["processors"][-1]
        self._event = event
        self._log = get(name)
        self._part = name
        self._enabled = self._log.is_enabled_for(logging.INFO)
        self._service = renderer.service if isinstance(renderer, _Renderer) else ""
        self._stream = sys.stdout.buffer if isinstance(renderer, _Renderer) else None

    def write(self, fields: dict[str, object]) -> None:
        """Log the event with `fields`, which this call may change."""
        if not self._enabled:
            return
        if self._stream is None:
            self._log.info(self._event, **fields)
            return
        fields["event"] = self._event
        fields["part"] = self._part
        fields["service"] = self._service
        fields["level"] = "info"
        fields["time"] = datetime.now(UTC)
        # One write for the whole line: lines of concurrent writers never mix.
        self._stream.write(orjson.dumps(fields, default=str, option=_ORJSON | orjson.OPT_APPEND_NEWLINE))
        self._stream.flush()


class _Renderer:
    """structlog's last step for JSON; also how `EventWriter` recognises the format."""

    __slots__ = ("service",)

    def __init__(self, service: str) -> None:
        self.service: Final = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
        event["service"] = self.service
        event["time"] = datetime.now(UTC)
        return orjson.dumps(event, default=str, option=_ORJSON)


class _Bridge(logging.Handler):
    """Hands records of the standard `logging` module to structlog, so that a process speaks one format."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get(record.name)
        severe = record.levelno >= logging.ERROR
        write = log.error if severe else log.warning
        write("library.message", message=record.getMessage(), exc_info=record.exc_info)


def _json_processors(service: str) -> list[structlog.typing.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _Renderer(service),
    ]


def _console_processors() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(),
    ]
