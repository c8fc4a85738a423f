"""The stream of responses of a call, with nothing of ours between its messages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class Responses(Generic[R]):
    """An iterator whose first message may take several attempts; the others come straight from the one that gave it.

    Args:
        first: gives the attempt's responses and the first of them; raises StopAsyncIteration if there is none.
    """

    # `__anext__` is a slot and not a method: `async for` then calls what is in it, the attempt's own, without a frame
    # of ours. That costs a message 20 ns; a method that passes the call on, or a generator, 70 to 80.
    __slots__ = ("__anext__", "_first")

    __anext__: Callable[[], Awaitable[R]]

    def __init__(self, first: Callable[[], Awaitable[tuple[AsyncIterator[R], R]]]) -> None:
        self._first = first
        self.__anext__ = self._begin

    def __aiter__(self) -> AsyncIterator[R]:
        """Itself."""
        return self

    async def _begin(self) -> R:
        responses, response = await self._first()
        self.__anext__ = responses.__anext__
        return response
