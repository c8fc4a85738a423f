import pytest

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from services.auth.exchange import ServiceProof
from services.auth.limits import RateLimits
from services.auth.tokens import CLIENT_AUDIENCE, INTERNAL_AUDIENCE
from tests.unit.auth.fakes import ROOT_KEY, SERVICE_SECRET, START, House, house
from tests.unit.auth.tenants import CHAT, METHOD, ROOT, key_id, new_key, new_tenant


async def refusal(auth: House, credential: str) -> Reason:
    with pytest.raises(MeshError) as refused:
        await auth.admission.admit(credential, METHOD)
    return refused.value.reason


async def test_a_key_is_admitted_as_its_user_with_an_internal_token() -> None:
    auth = house()
    tenant_id = await new_tenant(auth)
    credential = await new_key(auth, tenant_id)

    admitted = await auth.admission.admit(credential, METHOD)

    assert admitted.principal == Principal(tenant_id, "anna", CHAT, key_id(credential), CLIENT_AUDIENCE)
    behind = await auth.reader.read(admitted.token.token)
    assert (behind.tenant_id, behind.user_id, behind.scopes) == (tenant_id, "anna", CHAT)
    assert behind.audience == INTERNAL_AUDIENCE
    assert (await auth.admission.admit(credential, METHOD)).token is admitted.token


async def test_what_cannot_be_a_key_is_refused_without_asking_the_store() -> None:
    auth = house()
    credential = await new_key(auth, await new_tenant(auth))
    mistyped = credential[:-1] + ("0" if credential[-1] != "0" else "1")

    assert await refusal(auth, "") is Reason.MISSING_CREDENTIALS
    for wrong in (mistyped, "amk_", credential[:-3], "Bearer x", "ünïcode", "a.b.c"):
        assert await refusal(auth, wrong) is Reason.INVALID_CREDENTIALS
    assert auth.store.asked == []


async def test_a_well_formed_key_with_another_secret_is_refused() -> None:
    auth = house()
    credential = await new_key(auth, await new_tenant(auth))
    forged = auth.mint.mint(key_id(credential)).credential
    assert await refusal(auth, forged) is Reason.INVALID_CREDENTIALS


async def test_revoked_expired_and_disabled_are_told_apart() -> None:
    auth = house()
    tenant_id = await new_tenant(auth)
    revoked = await new_key(auth, tenant_id)
    expiring = await new_key(auth, tenant_id, expire_time_ms=int(START * 1000) + 5_000)
    await auth.registry.revoke_key(ROOT, key_id(revoked))
    assert await refusal(auth, revoked) is Reason.REVOKED_CREDENTIALS

    await auth.admission.admit(expiring, METHOD)
    auth.clock.advance(5)
    assert await refusal(auth, expiring) is Reason.EXPIRED_CREDENTIALS

    good = await new_key(auth, tenant_id)
    auth.store.disabled.add(tenant_id)
    assert await refusal(auth, good) is Reason.TENANT_DISABLED


async def test_over_the_limit_the_answer_says_which_limit_and_when_to_retry() -> None:
    auth = house()
    tenant_id = await new_tenant(auth, RateLimits(user_per_minute=6))
    credential = await new_key(auth, tenant_id)
    await auth.admission.admit(credential, METHOD)

    with pytest.raises(MeshError) as limited:
        await auth.admission.admit(credential, METHOD)

    assert limited.value.reason is Reason.RATE_LIMITED
    assert [(hit.subject, hit.description) for hit in limited.value.quota] == [
        ("user:anna", "6 requests a minute, at most 1 at once")
    ]
    assert limited.value.retry_after == pytest.approx(10)
    auth.clock.advance(10)
    await auth.admission.admit(credential, METHOD)


async def test_the_root_key_needs_no_store_and_has_no_limits() -> None:
    auth = house()
    auth.store.down = True
    admitted = await auth.admission.admit(ROOT_KEY, METHOD)
    assert admitted.principal.tenant_id == "root"
    assert admitted.principal.scopes == {"admin"}
    assert await refusal(auth, ROOT_KEY[:-1]) is Reason.INVALID_CREDENTIALS


async def test_without_a_store_nobody_else_gets_in() -> None:
    auth = house()
    credential = await new_key(auth, await new_tenant(auth))
    auth.store.down = True
    with pytest.raises(MeshError) as refused:
        await auth.admission.admit(credential, METHOD)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert refused.value.retry_after == 1.0


async def test_a_users_token_counts_against_that_users_limit_and_dies_with_its_key() -> None:
    auth = house()
    tenant_id = await new_tenant(auth, RateLimits(user_per_minute=6))
    credential = await new_key(auth, tenant_id, user_id="")
    berta = (await auth.exchange.for_key(credential, "berta", 0, METHOD)).token
    carl = (await auth.exchange.for_key(credential, "carl", 0, METHOD)).token

    assert (await auth.admission.admit(berta, METHOD)).principal.user_id == "berta"
    assert await refusal(auth, berta) is Reason.RATE_LIMITED
    assert (await auth.admission.admit(carl, METHOD)).principal.user_id == "carl"

    auth.clock.advance(10)
    await auth.registry.revoke_key(ROOT, key_id(credential))
    assert await refusal(auth, berta) is Reason.REVOKED_CREDENTIALS


async def test_a_service_may_show_its_internal_token_and_is_not_limited_again() -> None:
    auth = house()
    anna = Principal(await new_tenant(auth), "anna", CHAT)
    signed = auth.exchange.for_service(ServiceProof("conversation", SERVICE_SECRET, anna), 0)
    admitted = await auth.admission.admit(signed.token, METHOD)
    assert admitted.token == signed
    assert admitted.principal.audience == INTERNAL_AUDIENCE
    assert auth.store.asked == []


async def test_of_several_calls_wanted_half_of_the_room_is_granted_and_all_of_them_count() -> None:
    auth = house()
    tenant_id = await new_tenant(auth, RateLimits(user_per_minute=60))
    credential = await new_key(auth, tenant_id)
    granted = [(await auth.admission.admit(credential, METHOD, 4)).calls for _ in range(5)]
    assert granted == [4, 3, 1, 1, 1]
    assert await refusal(auth, credential) is Reason.RATE_LIMITED


async def test_who_has_no_limits_gets_all_that_is_wanted() -> None:
    auth = house()
    anna = Principal(await new_tenant(auth), "anna", CHAT)
    signed = auth.exchange.for_service(ServiceProof("conversation", SERVICE_SECRET, anna), 0)
    for credential in (ROOT_KEY, signed.token):
        assert (await auth.admission.admit(credential, METHOD, 64)).calls == 64


async def test_a_token_is_granted_calls_from_its_users_limit() -> None:
    auth = house()
    tenant_id = await new_tenant(auth, RateLimits(user_per_minute=60))
    credential = await new_key(auth, tenant_id, user_id="")
    berta = (await auth.exchange.for_key(credential, "berta", 0, METHOD)).token
    assert (await auth.admission.admit(berta, METHOD, 64)).calls == 5
    assert [(question.user_id, question.wanted_calls) for question in auth.store.asked] == [("", 1), ("berta", 64)]
