import json

import jwt
import pytest

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.server import auth as server_auth
from libs.server import spec
from libs.testing.clock import ManualClock
from services.auth import tokens
from services.auth.adapters.token_reader import OwnTokenReader
from services.auth.signing import decode_key, signing_keys, thumbprint
from services.auth.tokens import CLIENT_AUDIENCE, INTERNAL_AUDIENCE, InternalTokens, TokenSigner
from tests.unit.auth.fakes import SEED, START

ANNA = Principal("t000000001", "anna", frozenset({"chat"}), "t00000000100000001")


async def test_a_token_reads_back_until_it_expires() -> None:
    clock, keys = ManualClock(epoch=START), signing_keys(SEED)
    signed = TokenSigner(keys, clock).sign(ANNA, CLIENT_AUDIENCE, 900)
    reader = OwnTokenReader(keys.jwks_json, clock)
    expected = Principal("t000000001", "anna", frozenset({"chat"}), ANNA.key_id, CLIENT_AUDIENCE, START + 900)

    assert await reader.read(signed.token) == expected
    clock.advance(899)
    assert await reader.read(signed.token) == expected
    clock.advance(1)
    with pytest.raises(MeshError) as refused:
        await reader.read(signed.token)
    assert refused.value.reason is Reason.EXPIRED_CREDENTIALS


async def test_a_token_of_another_key_or_with_a_changed_claim_is_refused() -> None:
    clock, keys = ManualClock(epoch=START), signing_keys(SEED)
    reader = OwnTokenReader(keys.jwks_json, clock)
    stranger = TokenSigner(signing_keys(bytes(32)), clock).sign(ANNA, INTERNAL_AUDIENCE, 900).token
    header, claims, signature = TokenSigner(keys, clock).sign(ANNA, CLIENT_AUDIENCE, 900).token.split(".")
    for forged in (stranger, f"{header}.{claims[:-2]}AA.{signature}", f"{header}.{claims}.", "no.to.ken"):
        with pytest.raises(MeshError) as refused:
            await reader.read(forged)
        assert refused.value.reason is Reason.INVALID_CREDENTIALS


async def test_tokens_of_before_a_rotation_stay_valid_while_their_key_is_listed() -> None:
    clock, old = ManualClock(epoch=START), signing_keys(bytes(32))
    signed = TokenSigner(old, clock).sign(ANNA, CLIENT_AUDIENCE, 900)
    rotated = signing_keys(SEED, [old.private.public_key().public_bytes_raw()])

    assert (await OwnTokenReader(rotated.jwks_json, clock).read(signed.token)).user_id == "anna"
    with pytest.raises(MeshError):
        await OwnTokenReader(signing_keys(SEED).jwks_json, clock).read(signed.token)


def test_the_key_set_lists_the_current_key_first_and_no_private_part() -> None:
    old = signing_keys(bytes(32))
    rotated = signing_keys(SEED, [old.private.public_key().public_bytes_raw()])
    listed = json.loads(rotated.jwks_json)["keys"]
    assert decode_key(listed[1]["x"]) == old.private.public_key().public_bytes_raw()
    assert [key["kid"] for key in listed] == [rotated.kid, old.kid]
    assert all(set(key) == {"kty", "crv", "use", "alg", "kid", "x"} for key in listed)


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    # Appendix A.3.
    public = decode_key("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_token_does_not_outlive_what_it_was_given_for() -> None:
    signed = TokenSigner(signing_keys(SEED), ManualClock(epoch=START)).sign(
        ANNA, CLIENT_AUDIENCE, 900, not_after=START + 60.5
    )
    assert signed.expires_at == START + 60


def test_an_internal_token_is_signed_again_only_when_half_of_its_life_is_over() -> None:
    clock = ManualClock(epoch=START)
    internal = InternalTokens(TokenSigner(signing_keys(SEED), clock), clock, lifetime=600)
    first = internal.of(ANNA)
    clock.advance(300)
    assert internal.of(ANNA) is first
    clock.advance(1)
    second = internal.of(ANNA)
    assert second.expires_at == first.expires_at + 301
    claims = jwt.decode(second.token, options={"verify_signature": False})
    assert (claims["aud"], claims["ten"], claims["sub"]) == (INTERNAL_AUDIENCE, ANNA.tenant_id, "anna")


def test_internal_tokens_are_kept_per_principal_and_within_bounds() -> None:
    clock = ManualClock(epoch=START)
    internal = InternalTokens(TokenSigner(signing_keys(SEED), clock), clock, lifetime=600, capacity=2)
    people = [Principal("t000000001", name, ANNA.scopes) for name in ("a", "b", "c")]
    first = [internal.of(person) for person in people]
    assert len({signed.token for signed in first}) == 3
    assert internal.of(people[2]) is first[2]
    assert internal.of(people[0]) is not first[0]
    assert repr(internal) == "InternalTokens(2/2)"


def test_both_sides_speak_of_the_same_issuer_and_audiences() -> None:
    assert tokens.ISSUER == server_auth.ISSUER
    assert tokens.CLIENT_AUDIENCE == spec.CLIENT_AUDIENCE
    assert tokens.INTERNAL_AUDIENCE == spec.INTERNAL_AUDIENCE


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 44])
def test_a_key_that_is_not_32_bytes_of_base64_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="base64") as refused:
        decode_key(text)
    assert not text or text not in str(refused.value)
