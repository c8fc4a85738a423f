"""Auth that cannot be reached."""

import pytest

from libs.cli.tokens import exchange
from libs.core.errors import MeshError, Reason


async def test_auth_being_away_is_a_typed_error() -> None:
    with pytest.raises(MeshError) as raised:
        await exchange("static:///127.0.0.1:1", "amk_key")

    assert (raised.value.reason, raised.value.domain) == (Reason.PEER_UNAVAILABLE, "auth")
