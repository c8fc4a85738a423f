"""When a turn goes on without a part of the mesh."""

from typing import Final

from libs.core.errors import Code, MeshError

_PEERS_OWN_FAULT: Final = frozenset(
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


def raise_if_ours(error: MeshError) -> None:
    """Raise `error` again if the peer says that our request is wrong: degrading would hide a bug of ours.

    Whatever is wrong with the peer itself degrades the turn and does not end it.
    """
    if error.code not in _PEERS_OWN_FAULT:
        raise error


def no_model_can_answer(error: MeshError) -> bool:
    """Whether a generation failed for want of a model (down, broke, locked out), not because of what was asked."""
    return error.code in _PEERS_OWN_FAULT or error.code is Code.FAILED_PRECONDITION
