import asyncio
from dataclasses import replace

import pytest

from libs.core.rng import new_rng
from libs.store.connection import Store
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.ports import Standing
from tests.integration.semantic_cache.stored import HOUR, SPACE, answer, entry, entry_store, keep, key, new, ttl_ms

LEASE = 5.0
NONCE = b"a caller"


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return entry_store(store)


async def test_one_gets_the_lease_and_the_others_see_it_held(entries: RedisEntryStore, store: Store) -> None:
    replicas = [RedisEntryStore(store, SPACE, new_rng(seed)) for seed in range(20)]
    opened = await asyncio.gather(*(each.open(key("a"), LEASE) for each in replicas))
    granted = [each for each in opened if each.standing is Standing.GRANTED]
    held = [each for each in opened if each.standing is Standing.HELD]
    assert (len(granted), len(held)) == (1, 19)
    assert len(granted[0].lease_token) == 16
    assert granted[0].lease_token[:8] == granted[0].asked_at.to_bytes(8, "big")
    assert all(each.lease_token == b"" and 0 < each.held_seconds <= LEASE for each in held)
    assert all(each.kept is None for each in opened)


async def test_who_does_not_wait_takes_none(entries: RedisEntryStore) -> None:
    assert (await entries.open(key("a"))).standing is Standing.NONE
    assert (await entries.open(key("a"), LEASE)).standing is Standing.GRANTED


async def test_where_something_is_kept_there_is_no_lease(entries: RedisEntryStore) -> None:
    await keep(entries, "a")
    opened = await entries.open(key("a"), LEASE)
    assert (opened.standing, opened.lease_token) == (Standing.NONE, b"")


async def test_a_put_ends_the_lease_it_was_made_under(entries: RedisEntryStore, store: Store) -> None:
    leased = await entries.open(key("a"), LEASE)
    assert await entries.put(key("a"), new(entry("a", leased.asked_at), lease_token=leased.lease_token))
    assert await store.execute("EXISTS", keys.lease(key("a"))) == 0


async def test_an_outdated_put_ends_its_lease_too(entries: RedisEntryStore, store: Store) -> None:
    leased = await entries.open(key("a"), LEASE)
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"12345678")
    made = entry("a", leased.asked_at, marks=(b"12345678",))
    assert not await entries.put(key("a"), new(made, lease_token=leased.lease_token))
    assert (await entries.open(key("a"), LEASE)).standing is Standing.GRANTED


async def test_a_put_leaves_the_lease_of_another(entries: RedisEntryStore) -> None:
    leased = await entries.open(key("a"), LEASE)
    await entries.put(key("a"), new(entry("a", leased.asked_at), lease_token=b"x" * 16))
    await entries.remove([key("a")])
    assert (await entries.open(key("a"), LEASE)).standing is Standing.HELD


async def test_who_was_given_up_cannot_replace_the_answer_of_who_took_over(
    entries: RedisEntryStore, store: Store
) -> None:
    slow = await entries.open(key("a"), LEASE)
    await store.execute("DEL", keys.lease(key("a")))
    quick = await entries.open(key("a"), LEASE)
    assert quick.standing is Standing.GRANTED
    assert quick.asked_at > slow.asked_at
    made = entry("a", quick.asked_at)
    assert await entries.put(key("a"), new(made, lease_token=quick.lease_token))
    late = replace(entry("a", slow.asked_at), answer="late")
    assert not await entries.put(key("a"), new(late, lease_token=slow.lease_token))
    assert await answer(entries, "a") == made


async def test_a_lease_ends_by_itself_unless_it_is_renewed(entries: RedisEntryStore, store: Store) -> None:
    leased = await entries.open(key("a"), LEASE)
    assert 0 < await ttl_ms(store, keys.lease(key("a"))) <= LEASE * 1000
    assert await entries.renew(key("a"), leased.lease_token, 60.0)
    assert await ttl_ms(store, keys.lease(key("a"))) > 50_000
    assert not await entries.renew(key("a"), b"x" * 16, 60.0)
    await store.execute("DEL", keys.lease(key("a")))
    assert not await entries.renew(key("a"), leased.lease_token, 60.0)


async def test_a_released_lease_goes_to_the_next(entries: RedisEntryStore) -> None:
    leased = await entries.open(key("a"), LEASE)
    await entries.release(key("a"), b"x" * 16, 0.0)
    assert (await entries.open(key("a"), LEASE)).standing is Standing.HELD
    await entries.release(key("a"), leased.lease_token, 0.0)
    again = await entries.open(key("a"), LEASE)
    assert again.standing is Standing.GRANTED
    # The first one, late: it is no longer its to end.
    await entries.release(key("a"), leased.lease_token, 60.0)
    assert (await entries.open(key("a"), LEASE)).standing is Standing.HELD


async def test_a_lease_whose_grant_was_lost_is_released_by_its_callers_name(
    entries: RedisEntryStore, store: Store
) -> None:
    granted = await entries.open(key("a"), LEASE, nonce=NONCE)
    assert granted.lease_token == granted.asked_at.to_bytes(8, "big") + NONCE
    await entries.release(key("a"), bytes(8) + b"stranger", 0.0)
    assert (await entries.open(key("a"), LEASE)).standing is Standing.HELD
    # It ends a lease, and can do nothing else with it.
    assert not await entries.renew(key("a"), bytes(8) + NONCE, 60.0)
    await entries.release(key("a"), bytes(8) + NONCE, 60.0)
    assert (await entries.open(key("a"), LEASE)).standing is Standing.OPEN
    # What is open is nobody's to end, whatever the token.
    for token in (b"open", b"", bytes(8) + NONCE, granted.lease_token):
        await entries.release(key("a"), token, 0.0)
    assert (await entries.open(key("a"), LEASE)).standing is Standing.OPEN
    assert await ttl_ms(store, keys.lease(key("a"))) > 50_000


async def test_callers_have_names_of_8_bytes(entries: RedisEntryStore, store: Store) -> None:
    for nonce in (NONCE[:-1], NONCE + b"x"):
        with pytest.raises(ValueError, match="8 bytes"):
            await entries.open(key("a"), LEASE, nonce=nonce)
    # Without one, each call is another caller.
    assert (await entries.open(key("a"), LEASE)).standing is Standing.GRANTED
    assert (await entries.open(key("a"), LEASE)).standing is Standing.HELD


async def test_what_is_not_for_others_lets_everyone_make_their_own(entries: RedisEntryStore, store: Store) -> None:
    leased = await entries.open(key("a"), LEASE)
    await entries.release(key("a"), leased.lease_token, 2.0)
    for _ in range(3):
        opened = await entries.open(key("a"), LEASE)
        assert (opened.standing, opened.lease_token, opened.asked_at > 0) == (Standing.OPEN, b"", True)
    assert 0 < await ttl_ms(store, keys.lease(key("a"))) <= 2_000


async def test_nobody_waits_for_what_began_before_everything_was_invalidated(
    entries: RedisEntryStore, store: Store
) -> None:
    await entries.open(key("a"), LEASE)
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"")
    assert (await entries.open(key("a"), LEASE)).standing is Standing.GRANTED


async def test_a_grant_whose_answer_was_lost_is_given_again(store: Store) -> None:
    # As when the connection drops: the same call, sent twice.
    first, second = RedisEntryStore(store, SPACE, new_rng(7)), RedisEntryStore(store, SPACE, new_rng(7))
    granted = await first.open(key("a"), LEASE)
    assert await second.open(key("a"), LEASE) == granted


async def test_who_asks_again_by_the_same_name_leads_still(entries: RedisEntryStore, store: Store) -> None:
    granted = await entries.open(key("a"), LEASE, nonce=NONCE)
    assert await entries.open(key("a"), LEASE, nonce=NONCE) == granted
    # What it began before everything was invalidated could not be kept, so it begins anew.
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"")
    again = await entries.open(key("a"), LEASE, nonce=NONCE)
    assert again.standing is Standing.GRANTED
    assert again.asked_at > granted.asked_at
    assert await entries.put(key("a"), new(entry("a", again.asked_at), lease_token=again.lease_token))


async def test_leases_are_one_questions(entries: RedisEntryStore) -> None:
    await entries.open(key("a"), LEASE)
    assert (await entries.open(key("b"), LEASE)).standing is Standing.GRANTED
    assert (await entries.get_many([key("a")])) == [None]


async def test_what_is_no_token_is_no_lease(entries: RedisEntryStore, store: Store) -> None:
    await store.execute("SET", keys.lease(key("a")), b"something else")
    assert (await entries.open(key("a"), LEASE)).standing is Standing.GRANTED
