"""When a turn goes on without a part of the mesh."""

from typing import Final

from libs.core.errors import Code, MeshError

MAY_PASS: Final = frozenset(
    {
        Code.UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.INTERNAL,
        Code.UNKNOWN,
        Code.CANCELLED,
        Code.ABORTED,
        Code.DATA_LOSS,
    }
)
"""What is wrong with a peer and not with what it was asked: the same request may succeed later, or elsewhere."""

_NEVER_TAKEN: Final = frozenset({Code.INVALID_ARGUMENT, Code.NOT_FOUND})


def raise_if_ours(error: MeshError) -> None:
    """Raise `error` again if the peer says that our request is wrong: degrading would hide a bug of ours.

    Whatever is wrong with the peer itself degrades the turn and does not end it.
    """
    if error.code not in MAY_PASS:
        raise error


def raise_if_never_taken(error: MeshError) -> None:
    """Raise `error` again if memory will not take this turn whoever brings it, and whenever.

    Anything else is no reason to throw an answer away that was paid for: a caller's token that ran out while the
    model wrote is not the one that the outbox delivers with.
    """
    if error.code in _NEVER_TAKEN:
        raise error


def no_model_can_answer(error: MeshError) -> bool:
    """Whether a generation failed for want of a model (down, broke, locked out), not because of what was asked."""
    return error.code in MAY_PASS or error.code is Code.FAILED_PRECONDITION
