import pytest

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.core.ids import new_request_id
from services.auth.limits import RateLimits
from services.auth.pages import PageTokens
from services.auth.records import ApiKey
from services.auth.registry import NewKey
from tests.unit.auth.fakes import PEPPER, START, House, house
from tests.unit.auth.tenants import ROOT, new_tenant


def admin_of(tenant_id: str) -> Principal:
    return Principal(tenant_id, "boss", frozenset({"tenant.admin"}))


def wanted(tenant_id: str, *scopes: str, name: str = "", expire_time_ms: int = 0) -> NewKey:
    return NewKey(tenant_id, "anna", name, frozenset(scopes), expire_time_ms)


async def reason_of_creating(auth: House, caller: Principal, new: NewKey) -> Reason:
    with pytest.raises(MeshError) as refused:
        await auth.registry.create_key(caller, new_request_id(), new)
    return refused.value.reason


async def test_a_repeated_tenant_request_gives_the_same_tenant() -> None:
    auth, request_id = house(), new_request_id()
    limits = RateLimits(10, 5, {"/a.B/C": 3, "/a.B/A": 2})
    made = await auth.registry.create_tenant(ROOT, request_id, "Acme", limits)
    reordered = RateLimits(10, 5, {"/a.B/A": 2, "/a.B/C": 3})
    assert await auth.registry.create_tenant(ROOT, request_id.upper(), "Acme", reordered) == made
    assert await auth.registry.get_tenant(ROOT, made.tenant_id) == made
    with pytest.raises(MeshError) as refused:
        await auth.registry.create_tenant(ROOT, request_id, "Other", limits)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_only_operators_make_tenants() -> None:
    auth = house()
    for scopes in (set[str](), {"chat"}, {"tenant.admin"}, {"internal"}):
        with pytest.raises(MeshError) as refused:
            await auth.registry.create_tenant(
                Principal("t000000001", "", frozenset(scopes)), new_request_id(), "x", RateLimits()
            )
        assert refused.value.reason is Reason.MISSING_SCOPE


async def test_a_repeated_key_request_gives_the_key_without_its_secret() -> None:
    auth, request_id = house(), new_request_id()
    tenant_id = await new_tenant(auth)
    first = await auth.registry.create_key(ROOT, request_id, wanted(tenant_id))
    again = await auth.registry.create_key(ROOT, request_id, wanted(tenant_id, "chat"))
    assert first.credential.startswith(f"amk_{first.key.key_id}_")
    assert (again.key, again.credential) == (first.key, "")
    with pytest.raises(MeshError) as refused:
        await auth.registry.create_key(ROOT, request_id, wanted(tenant_id, name="other"))
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_tenants_administrator_rules_their_own_tenant_and_sees_no_other() -> None:
    auth = house()
    own, other = await new_tenant(auth), await new_tenant(auth)
    boss = admin_of(own)
    key = (await auth.registry.create_key(boss, new_request_id(), wanted(own, "chat", "tenant.admin"))).key
    assert (await auth.registry.list_keys(boss, own, "", 10)).keys == (key,)
    assert (await auth.registry.get_tenant(boss, own)).tenant_id == own
    assert (await auth.registry.revoke_key(boss, key.key_id)).revoke_time_ms == int(START * 1000)

    others_key = (await auth.registry.create_key(ROOT, new_request_id(), wanted(other))).key
    attempts = [
        auth.registry.get_tenant(boss, other),
        auth.registry.list_keys(boss, other, "", 10),
        auth.registry.revoke_key(boss, others_key.key_id),
        auth.registry.create_key(boss, new_request_id(), wanted(other)),
    ]
    for attempt in attempts:
        with pytest.raises(MeshError) as refused:
            await attempt
        assert refused.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("scope", ["admin", "internal", "metrics.read"])
async def test_nobody_grants_more_than_they_hold(scope: str) -> None:
    auth = house()
    tenant_id = await new_tenant(auth)
    assert await reason_of_creating(auth, admin_of(tenant_id), wanted(tenant_id, scope)) is Reason.MISSING_SCOPE


async def test_what_does_not_exist_is_not_found() -> None:
    auth, nowhere = house(), "t000000000"
    assert await reason_of_creating(auth, ROOT, wanted(nowhere)) is Reason.NOT_FOUND
    for attempt in (
        auth.registry.get_tenant(ROOT, nowhere),
        auth.registry.list_keys(ROOT, nowhere, "", 10),
        auth.registry.revoke_key(ROOT, nowhere + "00000000"),
    ):
        with pytest.raises(MeshError) as refused:
            await attempt
        assert refused.value.reason is Reason.NOT_FOUND


async def test_a_key_must_expire_in_the_future() -> None:
    auth = house()
    tenant_id = await new_tenant(auth)
    past = wanted(tenant_id, expire_time_ms=int(START * 1000))
    assert await reason_of_creating(auth, ROOT, past) is Reason.INVALID_FIELD


async def test_pages_join_up_and_their_tokens_serve_one_tenant_alone() -> None:
    auth = house()
    tenant_id, other = await new_tenant(auth), await new_tenant(auth)
    made = [(await auth.registry.create_key(ROOT, new_request_id(), wanted(tenant_id))).key for _ in range(5)]
    seen: list[ApiKey] = []
    token = ""
    while True:
        page = await auth.registry.list_keys(ROOT, tenant_id, token, 2)
        seen += page.keys
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert seen == made
    with pytest.raises(MeshError) as refused:
        await auth.registry.list_keys(ROOT, other, token, 2)
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize("token", ["x", "!!!", "AAAA", "ü", "A" * 40])
def test_a_page_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(MeshError) as refused:
        PageTokens(PEPPER).open("keys:t", token)
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN
