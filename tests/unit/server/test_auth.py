import asyncio
import base64
import json
from collections.abc import Mapping

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.core.errors import MeshError, Reason
from libs.server.auth import Jwks, JwksOptions, TokenAuthenticator
from libs.testing.clock import ManualClock

METHOD = "/agentmesh.test.v1.TestService/Test"


class Auth:
    """Signs tokens and publishes keys, as the auth service does."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.down = False
        self.says = ""
        self.fetches = 0
        self.asked = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.keys: dict[str, Ed25519PrivateKey] = {}
        self.add_key("k1", 1)

    def add_key(self, key_id: str, seed: int) -> None:
        self.keys[key_id] = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    async def jwks(self) -> str:
        self.fetches += 1
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.down:
            raise MeshError(Reason.PEER_UNAVAILABLE)
        if self.says:
            return self.says
        return json.dumps({"keys": [_jwk(key_id, key) for key_id, key in self.keys.items()]})

    def token(
        self,
        key_id: str = "k1",
        *,
        lifetime: float = 900.0,
        jti: str = "j1",
        changes: Mapping[str, object] | None = None,
    ) -> str:
        claims: dict[str, object] = {
            "iss": "agentmesh",
            "aud": "agentmesh-internal",
            "sub": "u1",
            "ten": "t1",
            "scp": ["chat"],
            "kid_": "key1",
            "iat": int(self.clock.time()),
            "exp": int(self.clock.time() + lifetime),
            "jti": jti,
        } | dict(changes or {})
        return jwt.encode(claims, self.keys[key_id], algorithm="EdDSA", headers={"kid": key_id})


def _jwk(key_id: str, key: Ed25519PrivateKey) -> dict[str, str]:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id, "x": x}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def auth(clock: ManualClock) -> Auth:
    return Auth(clock)


@pytest.fixture
def authenticator(auth: Auth, clock: ManualClock) -> TokenAuthenticator:
    return TokenAuthenticator(Jwks(auth.jwks, clock, JwksOptions(min_interval=10.0)), clock, capacity=3)


async def refusal(authenticator: TokenAuthenticator, credential: str) -> Reason:
    with pytest.raises(MeshError) as refused:
        await authenticator.authenticate(METHOD, credential)
    return refused.value.reason


async def test_a_token_says_who_holds_it(authenticator: TokenAuthenticator, auth: Auth) -> None:
    token = auth.token()

    found = await authenticator.authenticate(METHOD, token)

    principal = found.principal
    assert (principal.tenant_id, principal.user_id, principal.scopes) == ("t1", "u1", frozenset({"chat"}))
    assert (principal.audience, principal.key_id) == ("agentmesh-internal", "key1")
    assert found.token == token


async def test_a_signature_is_checked_once(authenticator: TokenAuthenticator, auth: Auth) -> None:
    token = auth.token()

    for _ in range(5):
        await authenticator.authenticate(METHOD, token)

    assert authenticator.statistics() == (1, 1)
    assert auth.fetches == 1


async def test_a_remembered_token_still_expires(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock
) -> None:
    token = auth.token(lifetime=60)
    await authenticator.authenticate(METHOD, token)

    clock.advance(61)

    assert await refusal(authenticator, token) is Reason.EXPIRED_CREDENTIALS
    assert authenticator.statistics().cached == 0


async def test_an_expired_token_is_told_from_an_invalid_one(authenticator: TokenAuthenticator, auth: Auth) -> None:
    assert await refusal(authenticator, auth.token(lifetime=-1)) is Reason.EXPIRED_CREDENTIALS


@pytest.mark.parametrize("credential", ["x", "a.b.c", "amk_0123456789abcdefgh_secret", "é" * 20])
async def test_what_is_no_token_is_invalid(authenticator: TokenAuthenticator, credential: str) -> None:
    assert await refusal(authenticator, credential) is Reason.INVALID_CREDENTIALS


async def test_nothing_is_missing_credentials(authenticator: TokenAuthenticator) -> None:
    assert await refusal(authenticator, "") is Reason.MISSING_CREDENTIALS


@pytest.mark.parametrize("changes", [{"iss": "evil"}, {"aud": "other"}, {"ten": 7}, {"scp": "chat"}, {"exp": None}])
async def test_claims_that_are_not_ours_are_invalid(
    authenticator: TokenAuthenticator, auth: Auth, changes: dict[str, object]
) -> None:
    assert await refusal(authenticator, auth.token(changes=changes)) is Reason.INVALID_CREDENTIALS


async def test_a_forged_signature_is_invalid(authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock) -> None:
    forger = Auth(clock)
    forger.add_key("k1", 9)

    assert await refusal(authenticator, forger.token()) is Reason.INVALID_CREDENTIALS


async def test_an_unsigned_token_is_invalid(authenticator: TokenAuthenticator, auth: Auth) -> None:
    claims = jwt.decode(auth.token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "k1"})

    assert await refusal(authenticator, unsigned) is Reason.INVALID_CREDENTIALS


async def test_a_new_key_is_found_when_a_token_names_it(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock
) -> None:
    await authenticator.authenticate(METHOD, auth.token())
    auth.add_key("k2", 2)
    clock.advance(10)

    assert (await authenticator.authenticate(METHOD, auth.token("k2"))).principal.user_id == "u1"


async def test_made_up_key_ids_do_not_flood_auth(authenticator: TokenAuthenticator, auth: Auth) -> None:
    await authenticator.authenticate(METHOD, auth.token())
    auth.add_key("k2", 2)

    for _ in range(20):
        assert await refusal(authenticator, auth.token("k2", jti="x")) is Reason.INVALID_CREDENTIALS

    assert auth.fetches == 1


async def test_callers_who_come_together_share_one_fetch(authenticator: TokenAuthenticator, auth: Auth) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(authenticator.authenticate(METHOD, auth.token(jti=str(number))))

    assert auth.fetches == 1


async def test_auth_being_away_at_first_is_no_fault_of_the_caller(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock
) -> None:
    auth.down = True
    assert await refusal(authenticator, auth.token()) is Reason.PEER_UNAVAILABLE
    assert await refusal(authenticator, auth.token()) is Reason.PEER_UNAVAILABLE
    assert auth.fetches == 1

    auth.down = False
    clock.advance(1)

    await authenticator.authenticate(METHOD, auth.token())


async def test_known_keys_outlive_auths_absence(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock
) -> None:
    await authenticator.authenticate(METHOD, auth.token())
    auth.down = True
    clock.advance(1000)

    await authenticator.authenticate(METHOD, auth.token(jti="another"))


async def test_a_withdrawn_key_goes_away(authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock) -> None:
    auth.add_key("k2", 2)
    await authenticator.authenticate(METHOD, auth.token("k2"))
    signed_before = auth.token("k2", jti="another")
    del auth.keys["k2"]

    clock.advance(301)

    assert await refusal(authenticator, signed_before) is Reason.INVALID_CREDENTIALS


async def test_only_so_many_tokens_are_remembered(authenticator: TokenAuthenticator, auth: Auth) -> None:
    for number in range(10):
        await authenticator.authenticate(METHOD, auth.token(jti=str(number)))

    assert authenticator.statistics().cached == 3


async def test_a_key_set_that_cannot_be_read_is_auths_fault(clock: ManualClock, auth: Auth) -> None:
    async def garbage() -> str:
        return "<html>"

    authenticator = TokenAuthenticator(Jwks(garbage, clock), clock)

    assert await refusal(authenticator, auth.token()) is Reason.PEER_UNAVAILABLE


@pytest.mark.parametrize(
    "text", ["<html>", "[]", '{"keys": 7}', '{"keys": ["k"]}', '{"keys": [{"kty": "OKP"}]}', "null"]
)
async def test_a_key_set_that_cannot_be_read_displaces_none(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock, text: str
) -> None:
    await authenticator.authenticate(METHOD, auth.token())
    auth.says = text
    clock.advance(301)

    await authenticator.authenticate(METHOD, auth.token(jti="another"))
    await authenticator.authenticate(METHOD, auth.token(jti="a third"))


async def test_who_gives_up_does_not_make_the_next_one_fail(authenticator: TokenAuthenticator, auth: Auth) -> None:
    auth.hold = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        impatient = tasks.create_task(authenticator.authenticate(METHOD, auth.token()))
        await auth.asked.wait()
        impatient.cancel()
    auth.hold = None

    await authenticator.authenticate(METHOD, auth.token())


async def test_a_key_that_is_old_serves_while_it_is_asked_for(
    authenticator: TokenAuthenticator, auth: Auth, clock: ManualClock
) -> None:
    await authenticator.authenticate(METHOD, auth.token())
    clock.advance(301)
    auth.hold = asyncio.Event()
    auth.asked.clear()

    async with asyncio.TaskGroup() as tasks:
        asks = tasks.create_task(authenticator.authenticate(METHOD, auth.token(jti="asks")))
        await auth.asked.wait()
        await authenticator.authenticate(METHOD, auth.token(jti="does not wait"))
        assert not asks.done()
        auth.hold.set()

    assert auth.fetches == 2


async def test_an_answer_that_never_comes_is_not_waited_for(auth: Auth, clock: ManualClock) -> None:
    auth.hold = asyncio.Event()
    authenticator = TokenAuthenticator(Jwks(auth.jwks, clock, JwksOptions(fetch_timeout=0.01)), clock)

    assert await refusal(authenticator, auth.token()) is Reason.PEER_UNAVAILABLE
