"""Where a channel finds a token when no request brings one: workers, start-up, the command line."""

from dataclasses import dataclass, field
from typing import Protocol


class TokenSource(Protocol):
    """Tokens of the calling process itself, without `Bearer `."""

    def cached(self) -> str | None:
        """A token that is still valid, at once; None if one has to be fetched."""
        ...

    async def fetch(self) -> str:
        """A valid token, fetched if need be; callers that ask together should share one fetch.

        Raises:
            MeshError: if there is none to be had; the call that wanted it then fails with its code.
            grpc.aio.AioRpcError: likewise.
        """
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A credential that does not change, such as a client's API key."""

    token: str = field(repr=False)

    def cached(self) -> str:
        """The token."""
        return self.token

    async def fetch(self) -> str:
        """The token."""
        return self.token
