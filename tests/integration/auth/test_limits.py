"""The limits of `authorize.lua` on a real Redis: exact, all or nothing, and the same as the model in Python."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.core.context import Principal
from libs.core.errors import MeshError, Reason
from libs.core.ids import new_request_id
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.auth.adapters.redis_gate import RedisGate
from services.auth.adapters.redis_names import limit_state
from services.auth.limits import MAX_PER_MINUTE, TICKS_PER_SECOND, Gcra, LimitDefaults, RateLimits, admit, ticks
from services.auth.ports import GateQuestion, Standing
from services.auth.registry import NewKey
from services.auth.servicer import Domain

METHOD = "/agentmesh.conversation.v1.ConversationService/SendMessage"
ROOT = Principal("root", "", frozenset({"admin"}))
START_MICROS = 1_800_000_000_123_456


async def a_key(auth: Domain, limits: RateLimits, user_id: str = "anna") -> tuple[str, str]:
    """A new tenant's credential, and the key's id."""
    tenant = await auth.registry.create_tenant(ROOT, new_request_id(), "Acme", limits)
    new = NewKey(tenant.tenant_id, user_id, "", frozenset({"chat"}), 0)
    created = await auth.registry.create_key(ROOT, new_request_id(), new)
    return created.credential, created.key.key_id


async def reasons(auth: Domain, credential: str, calls: int, method: str = METHOD) -> list[Reason | None]:
    """How each of `calls` concurrent calls ended; None for admitted."""

    async def call() -> Reason | None:
        try:
            await auth.admission.admit(credential, method)
        except MeshError as error:
            return error.reason
        return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call()) for _ in range(calls)]
    return [task.result() for task in tasks]


@pytest.mark.parametrize(
    "limits",
    [RateLimits(tenant_per_minute=240), RateLimits(user_per_minute=240), RateLimits(method_per_minute={METHOD: 240})],
)
async def test_concurrent_calls_are_admitted_exactly_up_to_the_burst(auth: Domain, limits: RateLimits) -> None:
    credential, _ = await a_key(auth, limits)
    outcomes = await reasons(auth, credential, 200)
    # 240 a minute is one in 250 ms: the calls take longer than that only on a machine that is all but standing still.
    assert 40 <= outcomes.count(None) <= 42
    assert outcomes.count(Reason.RATE_LIMITED) == 200 - outcomes.count(None)


async def test_concurrent_grants_add_up_to_the_limit_and_never_beyond(auth: Domain) -> None:
    credential, _ = await a_key(auth, RateLimits(tenant_per_minute=6_000, user_per_minute=240))

    async def grant(wanted: int) -> int:
        try:
            return (await auth.admission.admit(credential, METHOD, wanted)).calls
        except MeshError as error:
            if error.reason is not Reason.RATE_LIMITED:
                raise
            return 0

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(grant(wanted)) for wanted in range(100)]
    granted = [task.result() for task in tasks]
    assert max(granted) <= 20
    # As above: at most two more come free while this runs.
    assert 40 <= sum(granted) <= 42


async def test_a_refused_wish_for_many_consumes_nothing(auth: Domain, store: Store) -> None:
    credential, key_id = await a_key(auth, RateLimits(tenant_per_minute=6_000, user_per_minute=1))
    assert (await auth.admission.admit(credential, METHOD, 50)).calls == 1
    state = limit_state(key_id[:10], "tenant")
    before = await store.execute("GET", state)
    with pytest.raises(MeshError):
        await auth.admission.admit(credential, METHOD, 50)
    assert await store.execute("GET", state) == before


async def test_a_method_has_a_limit_of_its_own(auth: Domain) -> None:
    credential, _ = await a_key(auth, RateLimits(method_per_minute={METHOD: 1}))
    assert await reasons(auth, credential, 2) == [None, Reason.RATE_LIMITED]
    assert await reasons(auth, credential, 2, METHOD + "Again") == [None, None]


async def test_a_refused_call_consumes_nothing(auth: Domain, store: Store) -> None:
    credential, key_id = await a_key(auth, RateLimits(tenant_per_minute=6_000, user_per_minute=1))
    state = limit_state(key_id[:10], "tenant")
    await auth.admission.admit(credential, METHOD)
    before = await store.execute("GET", state)
    assert set(await reasons(auth, credential, 20)) == {Reason.RATE_LIMITED}
    assert await store.execute("GET", state) == before


async def test_the_answer_names_every_limit_that_was_hit_and_when_to_retry(auth: Domain) -> None:
    limits = RateLimits(tenant_per_minute=6, user_per_minute=3, method_per_minute={METHOD: 60})
    credential, key_id = await a_key(auth, limits)
    await auth.admission.admit(credential, METHOD)
    with pytest.raises(MeshError) as limited:
        await auth.admission.admit(credential, METHOD)
    assert [hit.subject for hit in limited.value.quota] == [f"tenant:{key_id[:10]}", "user:anna"]
    assert limited.value.quota[1].description == "3 requests a minute, at most 1 at once"
    assert limited.value.retry_after == pytest.approx(20, abs=2)


async def test_a_key_without_a_user_has_no_user_limit(auth: Domain) -> None:
    credential, _ = await a_key(auth, RateLimits(user_per_minute=1), user_id="")
    assert await reasons(auth, credential, 5) == [None] * 5


async def test_the_state_of_a_limit_leaves_redis_when_it_says_nothing_any_more(auth: Domain, store: Store) -> None:
    credential, key_id = await a_key(auth, RateLimits(tenant_per_minute=600))
    await auth.admission.admit(credential, METHOD)
    life = await store.execute("PTTL", limit_state(key_id[:10], "tenant"))
    assert isinstance(life, int)
    assert 0 < life <= 1_100


per_minute = st.integers(0, 200) | st.integers(0, MAX_PER_MINUTE)
Step = tuple[int, str, int]
"""Microseconds since the step before, whose call it is, how many are wanted."""
steps = st.lists(
    st.tuples(st.integers(0, 40_000_000), st.sampled_from(["anna", "berta"]), st.integers(0, 100)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rates=st.tuples(per_minute, per_minute, per_minute), burst_seconds=st.integers(1, 60), steps=steps)
def test_lua_decides_as_the_model_does(
    redis: EmbeddedRedis, rates: tuple[int, int, int], burst_seconds: int, steps: list[Step]
) -> None:
    asyncio.run(_compare(redis, rates, burst_seconds, steps))


async def _compare(redis: EmbeddedRedis, rates: tuple[int, int, int], burst_seconds: int, steps: list[Step]) -> None:
    redis.flush()
    tenant_id, key_id = "t000000001", "t00000000100000001"
    defaults = LimitDefaults(*rates, burst_seconds)
    tats: dict[str, int] = {}
    now = START_MICROS
    async with connect(redis.url) as store:
        await store.execute("HSET", f"auth:{{{tenant_id}}}:tenant", "tenant_per_minute", 0, "user_per_minute", 0)
        await store.execute(
            *("HSET", f"auth:{{{tenant_id}}}:key:{key_id}", "digest", "d", "user_id", "", "scopes", ""),
            *("expire_ms", 0, "revoke_ms", 0),
        )
        for gap, user_id, calls in steps:
            now += gap
            gate = RedisGate(store, defaults, fixed_now_micros=now)
            answer = await gate.admit(GateQuestion(key_id, METHOD, user_id=user_id, wanted_calls=calls))
            for what in ("tenant", f"user:{user_id}", f"method:{METHOD}"):
                # Instants are virtual here, but Redis would forget states by its own clock.
                await store.execute("PERSIST", limit_state(tenant_id, what))

            wanted = zip((f"tenant:{tenant_id}", f"user:{user_id}", f"method:{METHOD}"), rates, strict=True)
            subjects = {subject: Gcra.of(rate, burst_seconds) for subject, rate in wanted if rate}
            before = [tats.get(subject, 0) for subject in subjects]
            waits, after, granted = admit(list(subjects.values()), before, ticks(now), calls)
            tats.update(zip(subjects, after, strict=True))

            assert (answer.standing is Standing.ADMITTED) == (not any(waits))
            assert answer.granted_calls == granted
            assert [(hit.subject, hit.capacity) for hit in answer.hit] == [
                (subject, limit.capacity)
                for (subject, limit), wait in zip(subjects.items(), waits, strict=True)
                if wait
            ]
            told = [wait for wait in waits if wait]
            assert [hit.wait_seconds for hit in answer.hit] == [
                pytest.approx(wait / TICKS_PER_SECOND, abs=1e-6) for wait in told
            ]
