"""What the calls of one method share."""

from collections.abc import Callable
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

import grpc

from libs.mesh.channel_core import ChannelCore
from libs.mesh.endpoint import Endpoint
from libs.mesh.retry import divides
from libs.mesh.service_config import RetryPolicy

M = TypeVar("M", covariant=True)


class CallOptions(NamedTuple):
    """What grpc lets a caller say about a call, apart from its timeout and its metadata."""

    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Method(Generic[M]):
    """A method's config, and its multicallable at every endpoint, each made once."""

    streaming: ClassVar[bool] = False
    """Whether requests or responses are streams. An attempt at those always gets all the time that is left: how long
    a stream takes says nothing about how long its first response does."""

    def __init__(self, core: ChannelCore, name: str, bind: Callable[[grpc.aio.Channel], M]) -> None:
        self.core: Final = core
        self.name: Final = name
        self.config: Final = core.options.methods.of(name)
        retry = self.config.retry
        self.divided: Final[RetryPolicy | None] = retry if divides(retry) and not self.streaming else None
        """The policy by which a call's time is divided over its attempts, None if each may take all of it."""
        self._defaults: Final = CallOptions(None, self.config.wait_for_ready, None)
        self._bind: Final = bind
        self._bound: Final[dict[Endpoint, M]] = {}

    def at(self, endpoint: Endpoint) -> M:
        """The multicallable at `endpoint`."""
        bound = self._bound.get(endpoint)
        if bound is None:
            bound = self._bound[endpoint] = self._bind(endpoint.channel)
        return bound

    def options(
        self,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> CallOptions:
        """A call's options, completed by the service config."""
        if credentials is None and wait_for_ready is None and compression is None:
            return self._defaults
        waits = self._defaults.wait_for_ready if wait_for_ready is None else wait_for_ready
        return CallOptions(credentials, waits, compression)

    def forget(self, endpoint: Endpoint) -> None:
        """`endpoint` was removed, or is dialled anew: nothing more is sent over its present connection."""
        self._bound.pop(endpoint, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
