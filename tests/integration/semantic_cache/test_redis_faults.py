"""What the Redis adapters make of bytes they cannot read, and of a Redis that is full, a cluster, or away."""

import asyncio
from pathlib import Path

import pytest

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.adapters.redis_outcomes import RedisOutcomeLog
from services.semantic_cache.entry import Kept
from services.semantic_cache.ports import Standing
from tests.integration.semantic_cache.stored import (
    HOUR,
    TTL,
    alias_of,
    answer,
    entry,
    entry_store,
    keep,
    key,
    member,
    new,
    set_clock_back,
)


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return entry_store(store)


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\x00garbage", b"\x02e", b"\x02e" + bytes(40), b"\x02a" + b"f" * 60, b"\x01" + bytes(200)]
)
async def test_what_cannot_be_read_is_a_miss_and_can_be_replaced(
    entries: RedisEntryStore, store: Store, garbage: bytes
) -> None:
    await store.execute("SET", keys.entry(key("a")), garbage)
    assert (await entries.open(key("a"))).kept is None
    await store.execute("SET", keys.entry(key("a")), garbage)
    assert await entries.get_many([key("a")]) == [None]
    kept = await keep(entries, "a")
    assert await answer(entries, "a") == kept


async def test_what_another_release_wrote_is_left_to_it(entries: RedisEntryStore, store: Store) -> None:
    await store.execute("SET", keys.entry(key("a")), b"\x03e" + bytes(100))
    assert (await entries.open(key("a"))).kept is None
    assert await entries.get_many([key("a")]) == [None]
    assert await store.execute("EXISTS", keys.entry(key("a"))) == 1


async def test_an_entry_cut_short_or_with_more_marks_than_it_has_is_a_miss(
    entries: RedisEntryStore, store: Store
) -> None:
    await keep(entries, "a", marks=(b"12345678",))
    name = keys.entry(key("a"))
    stored = await store.execute("GET", name)
    assert isinstance(stored, bytes)
    for value in (stored[:30], stored[:40], stored[:-1], stored[:26] + b"\xff" + stored[27:]):
        await store.execute("SET", name, value)
        assert await answer(entries, "a") is None
    await store.execute("SET", name, stored[:30])
    assert (await entries.open(key("a"), lease_seconds=5.0)).standing is Standing.GRANTED


async def test_a_full_redis_keeps_nothing_more_but_gives_out_and_invalidates() -> None:
    with EmbeddedRedis(options={"maxmemory-policy": "noeviction"}) as server:
        async with connect(server.url) as store:
            entries, invalidations = entry_store(store), RedisInvalidationStore(store, HOUR)
            kept = await keep(entries, "first", semantic=True, marks=(b"12345678",))
            leased = await entries.open(key("leased"), lease_seconds=60.0)
            _, cursor, _ = await invalidations.announced("")
            # A second later, so that the clock would have to be moved on.
            await set_clock_back(store, keys.floors("t1"), -1.0)
            await store.execute("CONFIG", "SET", "maxmemory", "1")
            for call in (
                entries.put(key("second"), new(entry("second", 0), semantic=True)),
                entries.put(key("leased"), new(entry("leased", 0), lease_token=leased.lease_token)),
            ):
                with pytest.raises(MeshError) as raised:
                    await call
                assert raised.value.reason is Reason.STORE_UNAVAILABLE
            assert await answer(entries, "first") == kept
            # Nobody is held up for an answer that could not be kept.
            for _ in range(2):
                opened = await entries.open(key("second"), lease_seconds=1.0)
                assert (opened.kept, opened.standing, opened.lease_token) == (None, Standing.OPEN, b"")
            assert (await entries.open(key("leased"), lease_seconds=1.0)).standing is Standing.HELD
            await entries.release(key("leased"), leased.lease_token, 5.0)
            assert await store.execute("EXISTS", keys.lease(key("leased"))) == 0
            await invalidations.invalidate("t1", b"12345678")
            assert await entries.get_many([key("first")]) == [None]
            announced, _, complete = await invalidations.announced(cursor)
            assert ([each.mark for each in announced], complete) == ([b"12345678"], True)


async def test_what_was_asked_in_a_full_redis_is_kept_once_it_has_room_unless_it_was_invalidated() -> None:
    with EmbeddedRedis(options={"maxmemory-policy": "noeviction"}) as server:
        async with connect(server.url) as store:
            entries, invalidations = entry_store(store), RedisInvalidationStore(store, HOUR)
            await keep(entries, "first")
            await store.execute("CONFIG", "SET", "maxmemory", "1")
            asked_at = (await entries.open(key("a"), lease_seconds=1.0)).asked_at
            await store.execute("CONFIG", "SET", "maxmemory", "0")
            assert await entries.put(key("a"), new(entry("a", asked_at)))
            await invalidations.invalidate("t1", key("a").entry)
            assert await answer(entries, "a") is None
            assert not await entries.put(key("a"), new(entry("a", asked_at)))
            assert (await entries.open(key("a"), lease_seconds=1.0)).standing is Standing.GRANTED


async def test_a_redis_that_takes_no_writes_at_all_is_unavailable_to_who_wants_a_lease(
    entries: RedisEntryStore, store: Store
) -> None:
    kept = await keep(entries, "first")
    # As a primary that was demoted: the connection is to be made anew, not to be thought full.
    await store.execute("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        assert await answer(entries, "first") == kept
        with pytest.raises(MeshError) as raised:
            await entries.open(key("second"), lease_seconds=1.0)
        assert raised.value.reason is Reason.STORE_UNAVAILABLE
    finally:
        await store.execute("CONFIG", "SET", "min-replicas-to-write", "0")


async def test_a_cluster_serves_as_well(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"cluster-enabled": "yes"}) as server:
        async with connect(server.url) as node:
            await node.execute("CLUSTER", "ADDSLOTS", *range(16384))
        async with connect(server.url.removesuffix("/0").replace("redis://", "redis+cluster://")) as store:
            await until_ready(store)
            entries, invalidations = entry_store(store), RedisInvalidationStore(store, HOUR)
            kept = await keep(entries, "a", semantic=True, marks=(b"12345678",))
            await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
            assert (await entries.open(key("b"))).kept == Kept(kept, alias_of("a"))
            assert await entries.get_many([key("b"), key("a")]) == [None, kept]
            assert await entries.attach(key("a"), member("a", kept), TTL)
            news = await entries.news(key("a"), "")
            assert [each.entry for each in news.added] == [key("a").entry]
            leased = await entries.open(key("c"), lease_seconds=5.0)
            assert await entries.renew(key("c"), leased.lease_token, 5.0)
            await entries.release(key("c"), leased.lease_token, 5.0)
            _, cursor, _ = await invalidations.announced("")
            await invalidations.invalidate("t1", b"12345678")
            announced, _, complete = await invalidations.announced(cursor)
            assert ([each.mark for each in announced], complete) == ([b"12345678"], True)
            assert (await entries.open(key("b"))).kept is None
            await keep(entries, "a", semantic=True)
            assert await entries.remove(await entries.put_by("t1", "u1")) == 1
            assert (await entries.news(key("a"), news.cursor)).removed == (key("a").entry,)
            log = RedisOutcomeLog(store, "fake")
            await log.append("t1", "r", b"x")
            assert (await log.since("t1", ""))[0] == [b"x"]


async def until_ready(store: Store) -> None:
    # A cluster needs a moment after its slots were given out.
    async with asyncio.timeout(10):
        while True:
            try:
                await store.execute("SET", "x", "y")
            except MeshError:
                continue
            return


async def test_a_redis_that_is_away_is_unavailable(entries: RedisEntryStore, redis: EmbeddedRedis) -> None:
    redis.kill()
    with pytest.raises(MeshError) as raised:
        await entries.open(key("a"))
    assert raised.value.reason is Reason.STORE_UNAVAILABLE
