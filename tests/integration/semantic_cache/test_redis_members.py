"""What of a scope can be found by meaning, as replicas come to know it."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from libs.store.connection import Store
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.ports import News
from tests.integration.semantic_cache.stored import (
    HOUR,
    SHARED,
    SPACE,
    TTL,
    entry,
    entry_store,
    keep,
    keep_all,
    key,
    member,
    new,
    set_clock_back,
    ttl_ms,
    vector_of,
)

MEMBERS, ORDER, FEED = keys.members(key("x"), "fake")


class Reader:
    """A replica's view of a scope."""

    def __init__(self, entries: RedisEntryStore) -> None:
        self.known: set[bytes] = set()
        self.restarts = 0
        self.cursor = ""
        self._entries = entries

    async def read(self) -> list[News]:
        """Read on to the end."""
        pages = []
        while True:
            news = await self._entries.news(key("x"), self.cursor)
            pages.append(news)
            if news.restart:
                self.restarts += 1
                self.known.clear()
            self.known |= {each.entry for each in news.added}
            self.known -= set(news.removed)
            self.cursor = news.cursor
            if not news.more:
                return pages


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return entry_store(store)


def ids(*texts: str) -> set[bytes]:
    return {key(text).entry for text in texts}


async def test_what_is_put_becomes_known(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    await reader.read()
    kept = await keep(entries, "a", semantic=True)
    await keep(entries, "b")
    (news,) = await reader.read()
    (added,) = news.added
    assert (added.entry, added.group) == (key("a").entry, b"g" * 8)
    assert (added.created_at, added.expires_at) == (kept.created_at, kept.expires_at)
    assert added.vector.tolist() == vector_of("a").tolist()
    (news,) = await reader.read()
    assert (news.added, news.removed, news.restart, news.more) == ((), (), False, False)
    assert reader.restarts == 1


async def test_news_come_once_in_order_and_in_pages(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    await keep(entries, "z", semantic=True)
    await reader.read()
    for text in "abcd":
        await keep(entries, text, semantic=True)
    pages = await reader.read()
    assert [len(page.added) for page in pages] == [3, 1]
    assert [each.entry for page in pages for each in page.added] == [key(text).entry for text in "abcd"]
    assert reader.restarts == 1


async def test_what_was_there_before_is_told_in_pages(entries: RedisEntryStore, store: Store) -> None:
    roomy = entry_store(store, replace(SPACE, capacity=1_000), news=50)
    texts = [str(number) for number in range(160)]
    await keep_all(roomy, texts, semantic=True)
    reader = Reader(roomy)
    pages = await reader.read()
    assert len(pages) > 3
    assert [page.restart for page in pages] == [True] + [False] * (len(pages) - 1)
    assert reader.known == ids(*texts)


async def test_what_comes_and_goes_while_all_is_told_is_not_missed(store: Store) -> None:
    roomy = entry_store(store, replace(SPACE, capacity=1_000), news=20)
    await keep_all(roomy, [str(number) for number in range(120)], semantic=True)
    reader = Reader(roomy)
    news = await roomy.news(key("x"), "")
    reader.known, reader.cursor = {each.entry for each in news.added}, news.cursor
    assert news.more
    await keep(roomy, "new", semantic=True)
    gone = next(text for text in map(str, range(120)) if key(text).entry in reader.known)
    await roomy.remove([key(gone)])
    await reader.read()
    assert reader.known == ids("new", *map(str, range(120))) - ids(gone)
    assert reader.restarts == 0


async def test_what_is_removed_becomes_known(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    for text in "ab":
        await keep(entries, text, semantic=True)
    await reader.read()
    await entries.remove([key("a")])
    (news,) = await reader.read()
    assert (news.added, news.removed) == ((), (key("a").entry,))
    # Put, removed and put again between two readings.
    await keep(entries, "c", semantic=True)
    await entries.remove([key("c"), key("b")])
    await keep(entries, "b", semantic=True)
    await reader.read()
    assert reader.known == ids("b")


async def test_an_answer_without_a_vector_takes_the_place_of_one_with(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    await keep(entries, "a", semantic=True)
    await reader.read()
    made = await keep(entries, "a")
    await reader.read()
    assert reader.known == set()
    assert await entries.attach(key("a"), member("a", made), TTL)
    await reader.read()
    assert reader.known == ids("a")


async def test_a_vector_is_attached_only_to_what_is_kept(entries: RedisEntryStore, store: Store) -> None:
    made = entry("a", 1)
    assert not await entries.attach(key("a"), member("a", made), TTL)
    assert await store.execute("EXISTS", MEMBERS, ORDER, FEED) == 0
    made = await keep(entries, "a")
    # Another answer to the same question took its place.
    older = replace(member("a", made), expires_at=made.expires_at - 1)
    assert not await entries.attach(key("a"), older, TTL)
    assert await entries.attach(key("a"), member("a", made), TTL)
    await RedisInvalidationStore(store, HOUR).invalidate("t1", key("a").entry)
    assert not await entries.attach(key("a"), member("a", made), TTL)


async def test_a_scope_is_bounded_and_what_expires_first_goes(entries: RedisEntryStore, store: Store) -> None:
    reader = Reader(entries)
    await reader.read()
    for number, ttl in enumerate((50.0, 10.0, 60.0, 20.0, 70.0, 80.0, 90.0, 5.0)):
        await keep(entries, str(number), semantic=True, ttl=ttl)
    assert await store.execute("ZCARD", ORDER) == 5
    await reader.read()
    assert reader.known == ids("0", "2", "4", "5", "6")
    fresh = Reader(entries)
    await fresh.read()
    assert fresh.known == reader.known
    # They can still be found by equal text.
    assert (await entries.open(key("1"))).kept is not None


async def test_pages_are_bounded_though_every_put_brings_two_changes(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    await keep_all(entries, "abcde", semantic=True)
    await reader.read()
    for number in range(10):
        await keep(entries, str(number), semantic=True, ttl=TTL + number)
    pages = await reader.read()
    assert max(len(page.added) + len(page.removed) for page in pages) <= 4
    assert reader.known == ids("5", "6", "7", "8", "9")


async def test_a_smaller_capacity_is_reached_at_the_next_put(entries: RedisEntryStore, store: Store) -> None:
    roomy = entry_store(store, replace(SPACE, capacity=1_000), news=100)
    reader = Reader(roomy)
    await keep_all(roomy, [str(number) for number in range(160)], semantic=True)
    await reader.read()
    await keep(entries, "last", semantic=True, ttl=100.0)
    await reader.read()
    assert len(reader.known) == 5
    assert ids("last") < reader.known


async def test_expired_members_go(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "short", semantic=True, ttl=0.05)
    while await store.execute("EXISTS", keys.entry(key("short"))):
        pass
    await keep(entries, "long", semantic=True)
    assert await store.execute("ZRANGE", ORDER, 0, -1) == [key("long").entry]
    assert await store.execute("HEXISTS", MEMBERS, key("short").entry) == 0


async def test_a_reader_who_was_away_too_long_begins_anew(entries: RedisEntryStore, store: Store) -> None:
    reader = Reader(entries)
    for text in "abc":
        await keep(entries, text, semantic=True)
    await reader.read()
    await entries.remove([key("a")])
    await keep(entries, "d", semantic=True)
    await keep(entries, "e", semantic=True)
    await store.execute("XTRIM", FEED, "MAXLEN", 1)
    await reader.read()
    assert (reader.restarts, reader.known) == (2, ids("b", "c", "d", "e"))
    await keep(entries, "a", semantic=True)
    await reader.read()
    assert (reader.restarts, reader.known) == (2, ids("a", "b", "c", "d", "e"))


@pytest.mark.parametrize("lost", [(MEMBERS,), (ORDER,), (FEED,), (MEMBERS, ORDER, FEED), (MEMBERS, FEED)])
async def test_readers_recover_from_whatever_redis_evicts(
    entries: RedisEntryStore, store: Store, lost: tuple[str, ...]
) -> None:
    reader = Reader(entries)
    for text in "ab":
        await keep(entries, text, semantic=True)
    await reader.read()
    await store.execute("DEL", *lost)
    await reader.read()
    await keep(entries, "c", semantic=True)
    await reader.read()
    fresh = Reader(entries)
    await fresh.read()
    assert reader.known == fresh.known >= ids("c")
    assert await store.execute("HLEN", MEMBERS) == len(fresh.known) + 1
    assert await store.execute("ZCARD", ORDER) == len(fresh.known)


async def test_invalidating_everything_empties_the_scope(entries: RedisEntryStore, store: Store) -> None:
    reader = Reader(entries)
    for text in "abc":
        await keep(entries, text, semantic=True)
    await reader.read()
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"")
    await reader.read()
    assert reader.known == set()
    await keep(entries, "d", semantic=True)
    await reader.read()
    assert reader.known == ids("d")
    assert await store.execute("ZCARD", ORDER) == 1


async def test_a_scope_that_begins_anew_is_noticed_though_the_clock_was_set_back(
    entries: RedisEntryStore, store: Store
) -> None:
    reader = Reader(entries)
    await keep(entries, "x", semantic=True)
    await set_clock_back(store, keys.floors("t1"), HOUR)
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"")
    for text in "abcde":
        await keep(entries, text, semantic=True)
    await reader.read()
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"")
    for text in "vwxyz":
        await keep(entries, text, semantic=True)
    await reader.read()
    assert reader.known == ids(*"vwxyz")


async def test_a_feed_begun_by_a_removal_expires_too(entries: RedisEntryStore, store: Store) -> None:
    for text in "ab":
        await keep(entries, text, semantic=True)
    await store.execute("DEL", FEED)
    await entries.remove([key("a")])
    assert 0 < await ttl_ms(store, FEED) <= TTL * 1000


async def test_what_is_asked_for_and_dead_is_forgotten_by_all(entries: RedisEntryStore, store: Store) -> None:
    reader = Reader(entries)
    for text in "ab":
        await keep(entries, text, semantic=True, marks=(text.encode() * 8,))
    await reader.read()
    await RedisInvalidationStore(store, HOUR).invalidate("t1", b"a" * 8)
    assert [each is None for each in await entries.get_many([key("a"), key("b")])] == [True, False]
    await reader.read()
    assert reader.known == ids("b")


async def test_models_have_spaces_of_their_own(entries: RedisEntryStore, store: Store) -> None:
    await keep(entries, "a", semantic=True)
    other = Reader(entry_store(store, replace(SPACE, name="another")))
    await other.read()
    assert other.known == set()


async def test_scopes_do_not_mix(entries: RedisEntryStore) -> None:
    await keep(entries, "a", semantic=True, scope=replace(SHARED, tier=3))
    reader = Reader(entries)
    await reader.read()
    assert reader.known == set()


async def test_a_member_that_cannot_be_read_is_none(entries: RedisEntryStore, store: Store) -> None:
    for text in "ab":
        await keep(entries, text, semantic=True)
    await store.execute("HSET", MEMBERS, key("a").entry, b"short")
    reader = Reader(entries)
    await reader.read()
    assert reader.known == ids("b")


@pytest.mark.parametrize("component", [np.nan, np.inf, 0.0])
async def test_a_member_whose_vector_has_no_direction_is_none(entries: RedisEntryStore, component: float) -> None:
    made = await keep(entries, "a", semantic=True)
    await keep(entries, "b", semantic=True)
    broken = replace(member("a", made), vector=np.full(SPACE.dimension, component, np.float32))
    assert await entries.attach(key("a"), broken, TTL)
    reader = Reader(entries)
    await reader.read()
    assert reader.known == ids("b")


async def test_concurrent_writers_leave_no_gap(store: Store) -> None:
    roomy = entry_store(store, replace(SPACE, capacity=1_000), news=100)
    reader = Reader(roomy)
    await keep(roomy, "first", semantic=True)
    await reader.read()
    texts = [str(number) for number in range(80)]
    await asyncio.gather(keep_all(roomy, texts, semantic=True), reader.read())
    await reader.read()
    assert (reader.restarts, reader.known) == (1, ids("first", *texts))


async def test_a_put_sent_twice_is_one(entries: RedisEntryStore) -> None:
    reader = Reader(entries)
    opened = await entries.open(key("a"), 5.0)
    made = new(entry("a", opened.asked_at), semantic=True, lease_token=opened.lease_token)
    assert await entries.put(key("a"), made)
    assert await entries.put(key("a"), made)
    await reader.read()
    assert reader.known == ids("a")
