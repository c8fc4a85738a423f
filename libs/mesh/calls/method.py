"""What the calls of one method share."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import grpc

from libs.mesh.channel_core import ChannelCore
from libs.mesh.endpoint import Endpoint

M = TypeVar("M")


class Method(Generic[M]):
    """A method's config, and its multicallable at every endpoint, each made once."""

    def __init__(self, core: ChannelCore, name: str, bind: Callable[[grpc.aio.Channel], M]) -> None:
        self.core: Final = core
        self.name: Final = name
        self.config: Final = core.options.methods.of(name)
        self._bind: Final = bind
        self._bound: Final[dict[Endpoint, M]] = {}

    def at(self, endpoint: Endpoint) -> M:
        """The multicallable at `endpoint`."""
        bound = self._bound.get(endpoint)
        if bound is None:
            bound = self._bound[endpoint] = self._bind(endpoint.channel)
        return bound

    def forget(self, endpoint: Endpoint) -> None:
        """`endpoint` was removed: nothing is sent there any more."""
        self._bound.pop(endpoint, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
