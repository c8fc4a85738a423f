from dataclasses import replace

import pytest

from libs.store.connection import Store
from libs.store.replies import blobs
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.entry import Kept
from services.semantic_cache.ports import Standing
from services.semantic_cache.scope import Scope, user_mark
from tests.integration.memory.commands import calls_of
from tests.integration.semantic_cache.stored import (
    HOUR,
    SHARED,
    SPACE,
    TTL,
    alias_of,
    answer,
    entry,
    entry_store,
    keep,
    keep_all,
    key,
    member,
    new,
    set_clock_back,
    ttl_ms,
)

FLOORS = keys.floors("t1")


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return entry_store(store)


async def test_an_entry_comes_back_and_expires(entries: RedisEntryStore, store: Store) -> None:
    kept = await keep(entries, "one")
    opened = await entries.open(key("one"))
    assert opened.kept == Kept(kept)
    assert (await entries.open(key("two"))).kept is None
    assert 0 < await ttl_ms(store, keys.entry(key("one"))) <= TTL * 1000


async def test_several_come_back_in_order(entries: RedisEntryStore) -> None:
    one, three = await keep(entries, "one"), await keep(entries, "three")
    await entries.put_alias(key("alias"), alias_of("one"), TTL, "u1")
    found = await entries.get_many([key("three"), key("two"), key("alias"), key("one")])
    assert found == [three, None, None, one]
    assert await entries.get_many([]) == []


async def test_what_is_past_its_time_is_dead_though_redis_still_has_it(entries: RedisEntryStore, store: Store) -> None:
    asked_at = (await entries.open(key("a"))).asked_at
    assert not await entries.put(key("a"), replace(new(entry("a", asked_at, ttl=-1.0)), ttl=TTL))
    made = entry("a", asked_at, ttl=0.05)
    assert await entries.put(key("a"), replace(new(made), ttl=TTL))
    while await answer(entries, "a") is not None:
        pass
    assert await entries.get_many([key("a")]) == [None]


async def test_time_grows_from_one_question_to_the_next(entries: RedisEntryStore) -> None:
    times = [(await entries.open(key(str(n)), lease_seconds=1.0)).asked_at for n in range(20)]
    assert times == sorted(set(times))


async def test_a_newer_answer_is_not_replaced_by_an_older_one(entries: RedisEntryStore) -> None:
    first = (await entries.open(key("a"), lease_seconds=1.0)).asked_at
    second = (await entries.open(key("b"), lease_seconds=1.0)).asked_at
    newer, older = entry("a", second), entry("a", first)
    assert await entries.put(key("a"), new(newer))
    assert not await entries.put(key("a"), new(older))
    assert await answer(entries, "a") == newer
    # The same making, told of twice.
    again = replace(newer, answer="other")
    assert await entries.put(key("a"), new(again))
    assert await answer(entries, "a") == again


async def test_an_older_answer_replaces_one_that_is_dead(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "a", marks=(b"12345678",))
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"12345678")
    assert await answer(entries, "a") is None
    kept = await keep(entries, "a", marks=(b"12345678",))
    assert await answer(entries, "a") == kept


async def test_an_answer_without_a_time_is_of_now(entries: RedisEntryStore, store: Store) -> None:
    before = await keep(entries, "a")
    assert await entries.put(key("a"), new(entry("a", 0)))
    found = await answer(entries, "a")
    assert found is not None
    assert found.asked_at > before.asked_at
    # Also where the tenant has never asked anything.
    other = replace(SHARED, tenant_id="t2")
    assert await entries.put(key("b", other), new(entry("b", 0), scope=other))
    assert await answer(entries, "b", other) is not None


async def test_times_that_the_store_did_not_give_out_are_refused(entries: RedisEntryStore) -> None:
    assert not await entries.put(key("a"), new(entry("a", 1)))
    opened = await entries.open(key("a"))
    for asked_at in (1, opened.asked_at + 3_600_000_000):
        assert not await entries.put(key("a"), new(entry("a", asked_at)))
    assert await answer(entries, "a") is None


async def test_an_alias_leads_to_its_entry(entries: RedisEntryStore, store: Store) -> None:
    kept = await keep(entries, "one")
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    assert (await entries.open(key("two"), 5.0)).kept == Kept(kept, alias_of("one"))
    assert 0 < await ttl_ms(store, keys.entry(key("two"))) <= TTL * 1000


async def test_an_alias_replaces_nothing_that_lives(entries: RedisEntryStore) -> None:
    one, two = await keep(entries, "one"), await keep(entries, "two")
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    assert (await entries.open(key("two"))).kept == Kept(two)
    await entries.put_alias(key("three"), alias_of("one"), TTL, "u1")
    await entries.put_alias(key("three"), alias_of("two"), TTL, "u1")
    assert (await entries.open(key("three"))).kept == Kept(one, alias_of("one"))
    await entries.remove([key("one")])
    await entries.put_alias(key("three"), alias_of("two"), TTL, "u1")
    assert (await entries.open(key("three"))).kept == Kept(two, alias_of("two"))
    # An answer of its own is better.
    three = await keep(entries, "three")
    assert (await entries.open(key("three"))).kept == Kept(three)


async def test_who_asks_past_aliases_gets_only_what_is_the_texts_own(entries: RedisEntryStore) -> None:
    one = await keep(entries, "one")
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    past = await entries.open(key("two"), past_alias=True)
    assert (past.kept, past.standing) == (None, Standing.NONE)
    leased = await entries.open(key("two"), 5.0, past_alias=True)
    assert (leased.kept, leased.standing) == (None, Standing.GRANTED)
    assert (await entries.open(key("two"), 5.0, past_alias=True)).standing is Standing.HELD
    # To others it still leads.
    assert (await entries.open(key("two"), 5.0)).kept == Kept(one, alias_of("one"))
    own = entry("two", leased.asked_at)
    assert await entries.put(key("two"), new(own, lease_token=leased.lease_token))
    for past_alias in (True, False):
        assert (await entries.open(key("two"), 5.0, past_alias=past_alias)).kept == Kept(own)


async def test_an_alias_dies_with_its_target(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "one", marks=(b"12345678",))
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"12345678")
    assert (await entries.open(key("two"))).kept is None
    assert await store.execute("EXISTS", keys.entry(key("two"))) == 0
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    assert await store.execute("EXISTS", keys.entry(key("two"))) == 0


async def test_an_alias_leads_no_further_than_to_an_entry(entries: RedisEntryStore) -> None:
    await keep(entries, "one")
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    await entries.put_alias(key("three"), alias_of("two"), TTL, "u1")
    assert (await entries.open(key("three"))).kept is None


async def test_an_alias_of_another_embedding_space_is_nothing(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "one")
    await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")
    for name in ("fake2", "fak", "fade"):
        other = entry_store(store, replace(SPACE, name=name))
        assert (await other.open(key("two"), lease_seconds=5.0)).kept is None
        assert await store.execute("EXISTS", keys.entry(key("two"))) == 0
        await entries.put_alias(key("two"), alias_of("one"), TTL, "u1")


async def test_losing_the_floors_kills_everything_and_nothing_more(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "a", semantic=True)
    await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
    asked_at = (await entries.open(key("c"))).asked_at
    await store.execute("DEL", FLOORS)
    assert await entries.get_many([key("a")]) == [None]
    # What was asked before the loss may have been invalidated, so it is not kept.
    assert not await entries.put(key("c"), new(entry("c", asked_at)))
    for text in ("a", "b", "c"):
        assert await answer(entries, text) is None
    assert not await entries.put(key("c"), new(entry("c", asked_at)))
    kept = await keep(entries, "a")
    assert await answer(entries, "a") == kept


async def test_a_clock_that_was_set_back_changes_nothing(entries: RedisEntryStore, store: Store) -> None:
    invalidations = RedisInvalidationStore(store, HOUR)
    kept = await keep(entries, "a", marks=(b"12345678",))
    await set_clock_back(store, FLOORS, HOUR)
    assert await answer(entries, "a") == kept
    late = await keep(entries, "b", marks=(b"12345678",))
    assert late.asked_at > kept.asked_at + HOUR * 1e6 / 2
    await set_clock_back(store, FLOORS, HOUR)
    await invalidations.invalidate("t1", b"12345678")
    assert await entries.get_many([key("a"), key("b")]) == [None, None]
    kept = await keep(entries, "a", marks=(b"12345678",))
    await set_clock_back(store, FLOORS, HOUR)
    assert await answer(entries, "a") == kept
    await invalidations.invalidate("t1", b"")
    assert await answer(entries, "a") is None


async def test_nothing_outlives_its_use(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "a", semantic=True, ttl=100.0)
    await keep(entries, "b", semantic=True, ttl=1.0)
    await entries.open(key("c"), lease_seconds=3.0)
    for known in (*keys.members(key("a"), "fake"), keys.owned("t1", "u1")):
        assert 90_000 < await ttl_ms(store, known) <= 100_000
    assert 86_400_000 < await ttl_ms(store, FLOORS) <= 86_500_000
    names = blobs(await store.execute("KEYS", "*"))
    assert len(names) == 8
    for name in names:
        assert await ttl_ms(store, name.decode()) > 0


async def test_what_a_user_put_is_found_and_removed(entries: RedisEntryStore, store: Store) -> None:
    own = replace(SHARED, personal=True)
    other = replace(SHARED, user_id="u2")
    await keep(entries, "shared", semantic=True)
    await keep(entries, "personal", scope=own)
    await keep(entries, "another's", scope=other)
    await entries.put_alias(key("alias"), alias_of("another's", other), TTL, "u1")
    await keep(entries, "short", ttl=0.05)
    while await store.execute("EXISTS", keys.entry(key("short"))):
        pass
    found = await entries.put_by("t1", "u1")
    assert set(found) == {key("shared"), key("personal", own), key("alias")}
    assert await entries.remove(found) == 3
    assert await entries.remove(found) == 0
    assert await answer(entries, "shared") is None
    assert await answer(entries, "another's", other) is not None
    assert await entries.put_by("t1", "u1") == []
    assert await store.execute("EXISTS", keys.owned("t1", "u1")) == 0
    assert await entries.put_by("t2", "u1") == []
    members, _, _ = keys.members(key("shared"), "fake")
    assert await store.execute("HEXISTS", members, key("shared").entry) == 0


async def test_what_has_expired_is_no_longer_noted_of_a_user(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "long")
    await keep(entries, "short", ttl=0.05)
    while await store.execute("EXISTS", keys.entry(key("short"))):
        pass
    await keep(entries, "another")
    assert await store.execute("ZCARD", keys.owned("t1", "u1")) == 2


async def test_very_many_are_found_and_removed(entries: RedisEntryStore) -> None:
    await keep_all(entries, [str(number) for number in range(300)])
    found = await entries.put_by("t1", "u1")
    assert len(found) == 300
    assert await entries.remove(found) == 300


async def test_an_answer_in_the_making_is_not_kept_for_a_user_who_was_erased(
    entries: RedisEntryStore, store: Store
) -> None:
    asked_at = (await entries.open(key("a"))).asked_at
    await RedisInvalidationStore(store, HOUR).invalidate("t1", user_mark("u1"))
    assert not await entries.put(key("a"), new(entry("a", asked_at, marks=(user_mark("u1"),))))


async def test_tenants_never_meet(entries: RedisEntryStore, store: Store) -> None:
    theirs = Scope("t2", "u1", personal=False, model="m")
    mine = await keep(entries, "a", semantic=True)
    # Whatever key another tenant makes up, down to the digests of the first one's entry.
    stolen = replace(key("a"), tenant_id="t2")
    for wanted in (key("a", theirs), stolen):
        assert (await entries.open(wanted)).kept is None
        assert await entries.get_many([wanted]) == [None]
        assert (await entries.news(wanted, "")).added == ()
        assert await entries.remove([wanted]) == 0
        assert not await entries.attach(wanted, member("a", mine), TTL)
        await entries.put_alias(wanted, alias_of("a"), TTL, "u1")
        assert (await entries.open(wanted)).kept is None
    assert await entries.put_by("t2", "u1") == []
    await RedisInvalidationStore(store, HOUR).invalidate("t2", b"")
    assert await answer(entries, "a") == mine
    lease = await entries.open(key("b"), lease_seconds=5.0)
    assert not await entries.renew(replace(key("b"), tenant_id="t2"), lease.lease_token, 5.0)


async def test_every_call_is_one_round_trip(entries: RedisEntryStore, store: Store) -> None:
    async def calls() -> None:
        kept = await keep(entries, "a", semantic=True)
        await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
        opened = await entries.open(key("b"))
        assert opened.kept == Kept(kept, alias_of("a"))
        leased = await entries.open(key("c"), lease_seconds=5.0)
        await entries.renew(key("c"), leased.lease_token, 5.0)
        await entries.release(key("c"), leased.lease_token, 0.0)
        await entries.news(key("a"), "")
        await entries.get_many([key("a"), key("b"), key("c")])
        await entries.put_by("t1", "u1")
        await entries.remove([key("a"), key("b")])

    await calls()
    scripts = await calls_of(store, "evalsha")
    await calls()
    assert await calls_of(store, "evalsha") - scripts == 11
