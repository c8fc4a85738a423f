import jwt
import pytest

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from services.auth.exchange import ServiceProof
from services.auth.tokens import CLIENT_AUDIENCE, INTERNAL_AUDIENCE
from tests.unit.auth.fakes import ROOT_KEY, SERVICE_SECRET, START, house
from tests.unit.auth.tenants import METHOD, key_id, new_key, new_tenant


async def test_a_key_buys_a_token_of_its_own_user_and_scopes() -> None:
    auth = house()
    tenant_id = await new_tenant(auth)
    credential = await new_key(auth, tenant_id, scopes=frozenset({"chat", "tenant.admin"}))
    signed = await auth.exchange.for_key(credential, "", 0, METHOD)
    principal = await auth.reader.read(signed.token)
    assert principal == Principal(
        tenant_id, "anna", frozenset({"chat", "tenant.admin"}), key_id(credential), CLIENT_AUDIENCE, START + 900
    )


async def test_a_key_for_many_users_hands_on_chat_and_nothing_else() -> None:
    auth = house()
    scopes = frozenset({"chat", "tenant.admin"})
    credential = await new_key(auth, await new_tenant(auth), user_id="", scopes=scopes)
    principal = await auth.reader.read((await auth.exchange.for_key(credential, "berta", 60, METHOD)).token)
    assert (principal.user_id, principal.scopes) == ("berta", frozenset({"chat"}))
    assert principal.token_expires_at == START + 60


@pytest.mark.parametrize(("user_id", "scopes"), [("anna", {"chat"}), ("", {"tenant.admin"})])
async def test_a_key_may_not_speak_for_others_if_it_has_a_user_or_no_chat(user_id: str, scopes: set[str]) -> None:
    auth = house()
    credential = await new_key(auth, await new_tenant(auth), user_id, frozenset(scopes))
    with pytest.raises(MeshError) as refused:
        await auth.exchange.for_key(credential, "berta", 0, METHOD)
    assert refused.value.reason is Reason.MISSING_SCOPE


async def test_a_token_does_not_outlive_its_key() -> None:
    auth = house()
    credential = await new_key(auth, await new_tenant(auth), expire_time_ms=int(START * 1000) + 30_000)
    assert (await auth.exchange.for_key(credential, "", 0, METHOD)).expires_at == START + 30


async def test_a_token_buys_no_token() -> None:
    auth = house()
    signed = await auth.exchange.for_key(await new_key(auth, await new_tenant(auth)), "", 0, METHOD)
    with pytest.raises(MeshError) as refused:
        await auth.exchange.for_key(signed.token, "", 86_400, METHOD)
    assert refused.value.reason is Reason.INVALID_CREDENTIALS


async def test_the_root_key_buys_a_token_for_itself_but_for_no_user() -> None:
    auth = house()
    principal = await auth.reader.read((await auth.exchange.for_key(ROOT_KEY, "", 0, METHOD)).token)
    assert (principal.tenant_id, principal.scopes) == ("root", frozenset({"admin"}))
    with pytest.raises(MeshError) as refused:
        await auth.exchange.for_key(ROOT_KEY, "anna", 0, METHOD)
    assert refused.value.reason is Reason.MISSING_SCOPE


async def test_a_service_gets_an_internal_token_even_without_a_store() -> None:
    auth = house()
    auth.store.down = True
    signed = auth.exchange.for_service(ServiceProof("memory", SERVICE_SECRET), 0)
    principal = await auth.reader.read(signed.token)
    assert (principal.tenant_id, principal.scopes) == ("system", frozenset({"internal"}))
    assert principal.audience == INTERNAL_AUDIENCE
    assert jwt.decode(signed.token, options={"verify_signature": False})["svc"] == "memory"


async def test_a_service_may_act_for_a_user_with_that_users_scopes_alone() -> None:
    auth = house()
    anna = Principal("t000000001", "anna", frozenset({"chat"}), "t00000000100000001")
    principal = await auth.reader.read(
        auth.exchange.for_service(ServiceProof("conversation", SERVICE_SECRET, anna), 60).token
    )
    assert principal == Principal(
        "t000000001", "anna", anna.scopes, anna.key_id, INTERNAL_AUDIENCE, token_expires_at=START + 60
    )


@pytest.mark.parametrize("secret", ["", SERVICE_SECRET[:-1], SERVICE_SECRET + "x", "ü"])
def test_a_wrong_service_secret_is_refused(secret: str) -> None:
    with pytest.raises(MeshError) as refused:
        house().exchange.for_service(ServiceProof("memory", secret), 0)
    assert refused.value.reason is Reason.INVALID_CREDENTIALS
