"""The settings base. A process either starts with settings that are all valid or lists every fault and stops."""

import sys
from collections.abc import Sequence
from typing import Final, NoReturn, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "AGENTMESH_"
_EXIT_USAGE: Final = 2


class Settings(BaseSettings):
    """What every process of ours can be told. Fields become environment variables `AGENTMESH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least severe event logged")
    log_format: str = Field("json", pattern="^(json|console)$", description="json for machines, console for people")
    otlp_endpoint: str = Field("", description="OTLP/gRPC address (host:port) for traces; empty exports none")
    trace_sample_ratio: float = Field(0.01, ge=0, le=1, description="share of new traces recorded, 0 to 1")


S = TypeVar("S", bound=Settings)


def load(settings_type: type[S], argv: Sequence[str] = ()) -> S:
    """The settings of this process, or its end: `--help` in `argv` explains them, faults are all listed at once.

    Raises:
        SystemExit: 0 after `--help`; 2 if a setting is missing or invalid, each named on standard error.
    """
    if "--help" in argv or "-h" in argv:
        print(describe(settings_type))
        raise SystemExit(0)
    try:
        return settings_type()
    except ValidationError as error:
        _refuse(settings_type, error)


def describe(settings_type: type[Settings]) -> str:
    """Every environment variable of the service, with its default and its meaning."""
    lines = [(settings_type.__doc__ or "").strip().splitlines()[0], "", "Environment variables:"]
    for name, field in settings_type.model_fields.items():
        default = "required" if field.is_required() else f"default: {field.get_default(call_default_factory=True)!r}"
        lines.append(f"  {variable(name)}\n      {field.description or ''} ({default})")
    return "\n".join(lines)


def variable(field: str) -> str:
    """The environment variable behind a settings field."""
    return f"{PREFIX}{field.upper()}"


def fault_lines(error: ValidationError) -> list[str]:
    """What is wrong, one line each, naming the variable and never the value, which may be a secret."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        name = variable(str(fault["loc"][0])) if fault["loc"] else "settings"
        lines.append(f"{name}: {fault['msg']}")
    return lines


def _refuse(settings_type: type[Settings], error: ValidationError) -> NoReturn:
    lines = fault_lines(error)
    print(f"{len(lines)} setting(s) missing or invalid:", file=sys.stderr)
    for line in lines:
        print(f"  {line}", file=sys.stderr)
    module = settings_type.__module__.rsplit(".", 1)[0]
    print(f"`python -m {module} --help` explains all of them.", file=sys.stderr)
    raise SystemExit(_EXIT_USAGE)
