"""What a caller carries from a Lookup to the Put or the ReportOutcome that follows: the decision, in some 100 bytes.

So no replica has to remember whom it answered what. A receipt holds digests and numbers, no text. It names whom it was
given to, which guards against mix-ups; it is not signed, since only services see it.
"""

import struct
from enum import IntEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from libs.core.errors import MeshError, invalid

_VERSION: Final = 3
_BEARER_BYTES: Final = 8
_SPACE_BYTES: Final = 8
NO_SPACE: Final = bytes(_SPACE_BYTES)
"""Of a replica without a model."""
# Version, bearer, how it ended, asked_at, scope, question, candidate, its group, similarity, P(wrong), propensity,
# embedding space; features.
_HEAD: Final = struct.Struct(f"<B{_BEARER_BYTES}sBq20s20s20s8sfff{_SPACE_BYTES}s")
_MOST_FEATURES: Final = 512
_LARGEST_COSINE: Final = 1.01


class Ending(IntEnum):
    """How a lookup ended."""

    MISSED = 0
    """Nothing was near enough to be judged, or the candidate was not good enough."""
    AUDITED = 1
    """It would have been served; a fresh answer is to show whether rightly."""
    SERVED = 2
    """By meaning."""
    SERVED_EXACT = 3
    """For the same text."""


class Receipt(NamedTuple):
    """A lookup's decision."""

    ending: Ending
    asked_at: int
    """Microseconds of the store's clock; 0 if it was not asked."""
    scope: bytes
    """The digest of the scope, 20 bytes."""
    question: bytes
    """The digest of scope and text, 20 bytes."""
    candidate: bytes = b""
    """The entry that was served or judged, 20 bytes; empty if there was none."""
    group: bytes = b""
    """Of the candidate, 8 bytes."""
    similarity: float = 0.0
    wrong_probability: float = 0.0
    propensity: float = 1.0
    """How likely it was that its outcome would become known, more than 0 and at most 1."""
    features: bytes = b""
    """What it was judged by, packed by the judge."""
    space: bytes = NO_SPACE
    """The embedding space that vector and features are of, 8 bytes: of the replica that packed it."""

    def pack(self, bearer: bytes, space: bytes) -> bytes:
        """As it travels, for `bearer` (see `bearer_of`) alone, from a replica whose vectors are of `space`."""
        head = _HEAD.pack(
            _VERSION,
            bearer,
            self.ending,
            self.asked_at,
            self.scope,
            self.question,
            self.candidate,
            self.group,
            self.similarity,
            self.wrong_probability,
            self.propensity,
            space,
        )
        return head + self.features


def bearer_of(tenant_id: str, user_id: str) -> bytes:
    """Stands for a user of a tenant."""
    # The length is part of it, so a tenant cannot run over into its user.
    return blake2b(f"{len(tenant_id)}:{tenant_id}{user_id}".encode(), digest_size=_BEARER_BYTES).digest()


def unpack(sent: bytes, bearer: bytes) -> Receipt | None:
    """The receipt that came back from `bearer`; None for none.

    Raises:
        MeshError: INVALID_FIELD if it is not one that Lookup gave out, to them.
    """
    if not sent:
        return None
    if sent[0] != _VERSION or not _HEAD.size <= len(sent) <= _HEAD.size + _MOST_FEATURES:
        raise _not_ours()
    _, given_to, ending, asked_at, *digests, similarity, wrong_probability, propensity, space = _HEAD.unpack_from(sent)
    if given_to != bearer:
        raise _not_ours()
    shares = 0 <= wrong_probability <= 1 and 0 < propensity <= 1
    # Rounding may exceed 1 a little. What is no number is outside of every range.
    if ending not in tuple(Ending) or asked_at < 0 or not shares or not abs(similarity) < _LARGEST_COSINE:
        raise _not_ours()
    scope, question, candidate, group = digests
    found = any(candidate)
    return Receipt(
        Ending(ending),
        asked_at,
        scope,
        question,
        candidate if found else b"",
        group if found else b"",
        similarity,
        wrong_probability,
        propensity,
        sent[_HEAD.size :],
        space,
    )


def _not_ours() -> MeshError:
    return invalid("receipt", "must be one that Lookup gave out")
