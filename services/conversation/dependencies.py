"""When a turn goes on without a part of the mesh."""

from typing import Final

from libs.core.errors import Code, MeshError

TRANSIENT: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED})
"""The peer cannot answer now; later it can."""
_PEERS_OWN_FAULT: Final = TRANSIENT | {Code.INTERNAL, Code.UNKNOWN, Code.CANCELLED, Code.ABORTED, Code.DATA_LOSS}


def raise_if_ours(error: MeshError) -> None:
    """Raise `error` again if the peer says that our request is wrong: degrading would hide a bug of ours.

    Whatever is wrong with the peer itself degrades the turn and does not end it.
    """
    if error.code not in _PEERS_OWN_FAULT:
        raise error
