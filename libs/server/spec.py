"""What a service tells the harness about itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Never, Protocol

import grpc
from aiohttp import web

from libs.core.context import Principal

INTERNAL_AUDIENCE: Final = "agentmesh-internal"
"""Audience of the tokens that services pass on; a client never holds one."""
CLIENT_AUDIENCE: Final = "agentmesh"
"""Audience of the tokens that clients hold."""
ADMIN_SCOPE: Final = "admin"
"""Satisfies every scope check."""


class Access(Enum):
    """Who may call a method."""

    PUBLIC = "public"
    """Anyone; credentials are not even looked at."""
    USER = "user"
    """Any valid principal."""
    INTERNAL = "internal"
    """Services only: a token whose audience is `agentmesh-internal`."""


Validate = Callable[[Never], None]
"""Checks one request; raises `libs.core.errors.invalid_fields` naming every fault. `Never`: of any message type."""


@dataclass(frozen=True, slots=True)
class MethodPolicy:
    """How calls of one method are treated."""

    access: Access
    scope: str = ""
    """A scope the principal must have; empty asks for none."""
    default_timeout: float = 30.0
    """Seconds a call may take whose client sent no deadline; `math.inf` for streams that may run for ever."""
    validate: Validate | None = None
    """Runs before the handler, for methods that take one request message."""
    housekeeping: bool = False
    """Health and reflection: never shed, and logged only when they fail."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """What a credential turned out to be."""

    principal: Principal
    token: str
    """The internal token that calls made for this request carry on, without `Bearer `."""


class Authenticator(Protocol):
    """Turns a bearer value into a principal; `libs.server.auth.TokenAuthenticator` is the usual one."""

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        """Who holds `credential`, calling `method` (`/package.Service/Method`).

        Raises:
            MeshError: UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED reasons.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service, ready to be served."""

    registrations: tuple[Callable[[grpc.aio.Server], None], ...]
    """Each adds one servicer, as in `partial(add_AuthServiceServicer_to_server, servicer)`."""
    services: tuple[str, ...]
    """Full names of the gRPC services, for health and reflection."""
    methods: Mapping[str, MethodPolicy]
    """By full method name, `/package.Service/Method`. Every registered method needs one, or the start fails."""
    authenticator: Authenticator
    readiness: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """Checks by dependency; each raises `MeshError`, `grpc.RpcError`, `OSError` or `TimeoutError` when it is lost."""
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Run from start until the drain is over, then cancelled. One that raises `MeshError` or `grpc.RpcError` is
    started again after a second; any other error is a bug and ends the process."""
    routes: tuple[web.RouteDef, ...] = ()
    """More pages for the admin port."""
