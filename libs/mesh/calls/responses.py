"""The stream of responses of a call, with nothing of ours between its messages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class Responses(Generic[R]):
    """An iterator whose first message may take several attempts; the others come straight from the one that gave it.

    An asynchronous generator around the attempt's own would cost each message a seventh more.

    Args:
        first: gives the attempt's responses and the first of them; raises StopAsyncIteration if there is none.
    """

    __slots__ = ("_first", "_next")

    def __init__(self, first: Callable[[], Awaitable[tuple[AsyncIterator[R], R]]]) -> None:
        self._first = first
        self._next: Callable[[], Awaitable[R]] = self._begin

    def __aiter__(self) -> AsyncIterator[R]:
        """Itself."""
        return self

    def __anext__(self) -> Awaitable[R]:
        """The next message."""
        return self._next()

    async def _begin(self) -> R:
        responses, response = await self._first()
        self._next = responses.__anext__
        return response
