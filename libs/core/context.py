"""What travels with a request from hop to hop: libs.server fills it in, libs.mesh sends it on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from libs.core.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, as auth established it."""

    tenant_id: str
    """The tenant that pays and owns the data; never empty."""
    user_id: str
    """The end user inside the tenant; empty for a service or an operator."""
    scopes: frozenset[str] = frozenset()
    """What they may do, such as `chat`, `admin`; see `services/auth/README.md`."""
    key_id: str = ""
    """The API key behind the call, empty if there is none."""
    audience: str = ""
    """`agentmesh` for tokens of clients, `agentmesh-internal` for those that services pass on."""
    token_expires_at: float = 0.0
    """Unix seconds until which the token is valid; 0 when there is no token."""


@dataclass(slots=True)
class RequestContext:
    """The facts of the request being served. One per server call; mutable only until the handler runs."""

    deadline: Deadline
    traceparent: str = ""
    """W3C trace context of the current span: `00-<trace id>-<span id>-<flags>`."""
    principal: Principal | None = None
    token: str = ""
    """The internal token that the next hop will check, without `Bearer `."""
    log_fields: dict[str, object] = field(default_factory=dict)
    """Added by the handler to the one log line of this RPC; never prompt text, never secrets."""

    @property
    def trace_id(self) -> str:
        """The 32 hex digits of the trace id, or empty."""
        return self.traceparent[3:35]


_current: Final[ContextVar[RequestContext | None]] = ContextVar("agentmesh_request_context", default=None)


def current() -> RequestContext | None:
    """The request being served by this task, or None outside of one."""
    return _current.get()


def require() -> RequestContext:
    """The request being served; LookupError outside of one (a programming error)."""
    context = _current.get()
    if context is None:
        raise LookupError("no request is being served by this task")
    return context


def enter(context: RequestContext) -> None:
    """Make `context` current for the rest of this task; a server's call is a task of its own, so nothing leaks."""
    _current.set(context)


@contextmanager
def scope(context: RequestContext) -> Iterator[RequestContext]:
    """Make `context` current inside the block: for workers and clients, whose task outlives one request."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
