import asyncio
from dataclasses import replace

import pytest

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore, VectorSpace
from services.semantic_cache.adapters.redis_tally import RedisTallyStore
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.scope import Key, ask
from services.semantic_cache.vectors import Member
from tests.integration.memory.commands import calls_of
from tests.unit.semantic_cache.fakes import DIMENSION, vector_of
from tests.unit.semantic_cache.replica import scope

SPACE = VectorSpace("fake", DIMENSION, capacity=5)
TTL = 60.0


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return RedisEntryStore(store, SPACE, news=3)


def key(text: str) -> Key:
    return ask(scope(), text).key


def entry(text: str) -> Entry:
    return Entry(text, f"answer to {text}", "m", Usage(1, 2, 3, 4), 5, 1000.0, 2000.0)


async def ttl_ms(store: Store, name: str) -> int:
    remaining = await store.execute("PTTL", name)
    assert isinstance(remaining, int)
    return remaining


async def test_an_entry_comes_back_and_expires(entries: RedisEntryStore, store: Store) -> None:
    await entries.put(key("one"), entry("one"), TTL)
    assert await entries.get(key("one")) == entry("one")
    assert await entries.get(key("two")) is None
    assert 0 < await ttl_ms(store, keys.entry(key("one"))) <= TTL * 1000


async def test_several_come_back_in_order(entries: RedisEntryStore) -> None:
    await entries.put(key("one"), entry("one"), TTL)
    await entries.put(key("three"), entry("three"), TTL)
    found = await entries.get_many([key("three"), key("two"), key("one")])
    assert found == [entry("three"), None, entry("one")]
    assert await entries.get_many([]) == []


async def test_what_is_there_is_not_replaced_by_an_alias(entries: RedisEntryStore) -> None:
    await entries.put(key("one"), entry("one"), TTL)
    await entries.put_if_absent(key("one"), entry("other"), TTL)
    await entries.put_if_absent(key("two"), entry("other"), TTL)
    assert await entries.get(key("one")) == entry("one")
    assert await entries.get(key("two")) == entry("other")


async def test_news_come_once_and_in_order(entries: RedisEntryStore) -> None:
    for text in ("a", "b", "c", "d"):
        await entries.put_with_vector(key(text), entry(text), vector_of(text), TTL)
    found, first = await entries.get_with_news(key("b"), 0)
    assert found == entry("b")
    assert [member.entry for member in first.members] == [key(text).entry for text in ("a", "b", "c")]
    assert first.members[0].vector.tolist() == vector_of("a").tolist()
    assert first.members[0].expires_at == 2000.0
    assert first.more
    missing, second = await entries.get_with_news(key("x"), first.cursor)
    assert missing is None
    assert [member.entry for member in second.members] == [key("d").entry]
    assert not second.more
    _, third = await entries.get_with_news(key("x"), second.cursor)
    assert (third.members, third.cursor) == ((), second.cursor)


async def test_an_entry_put_again_is_news_again(entries: RedisEntryStore) -> None:
    await entries.put_with_vector(key("a"), entry("a"), vector_of("a"), TTL)
    _, news = await entries.get_with_news(key("a"), 0)
    await entries.put_with_vector(key("a"), entry("a"), vector_of("b"), TTL)
    _, again = await entries.get_with_news(key("a"), news.cursor)
    assert [member.vector.tolist() for member in again.members] == [vector_of("b").tolist()]


async def test_a_scope_is_bounded_and_the_oldest_go(entries: RedisEntryStore, store: Store) -> None:
    for number in range(8):
        text = f"text {number}"
        await entries.put_with_vector(key(text), entry(text), vector_of(text), TTL)
    assert await store.execute("ZCARD", keys.order(key("x"), "fake")) == 5
    assert await store.execute("HLEN", keys.vectors(key("x"), "fake")) == 5
    _, news = await entries.get_with_news(key("x"), 0)
    assert news.members[0].entry == key("text 3").entry
    # They can still be found by equal text.
    assert await entries.get(key("text 0")) == entry("text 0")


async def test_a_scope_lives_as_long_as_its_longest_entry(entries: RedisEntryStore, store: Store) -> None:
    await entries.put_with_vector(key("long"), entry("long"), vector_of("long"), 100.0)
    await entries.put_with_vector(key("short"), entry("short"), vector_of("short"), 1.0)
    for name in (keys.order(key("x"), "fake"), keys.vectors(key("x"), "fake")):
        assert 90_000 < await ttl_ms(store, name) <= 100_000


async def test_a_vector_is_attached_only_to_what_is_kept(entries: RedisEntryStore, store: Store) -> None:
    member = Member(key("a").entry, vector_of("a"), 2000.0)
    assert not await entries.attach(key("a"), member, TTL)
    assert await store.execute("DBSIZE") == 0
    await entries.put(key("a"), entry("a"), TTL)
    assert await entries.attach(key("a"), member, TTL)
    _, news = await entries.get_with_news(key("a"), 0)
    assert [each.entry for each in news.members] == [key("a").entry]


async def test_models_have_spaces_of_their_own(entries: RedisEntryStore, store: Store) -> None:
    await entries.put_with_vector(key("a"), entry("a"), vector_of("a"), TTL)
    other = RedisEntryStore(store, replace(SPACE, name="another"))
    found, news = await other.get_with_news(key("a"), 0)
    assert found == entry("a")
    assert news.members == ()


async def test_what_cannot_be_read_is_a_miss(entries: RedisEntryStore, store: Store) -> None:
    await store.execute("SET", keys.entry(key("a")), b"\xff\x00garbage")
    assert await entries.get(key("a")) is None
    await entries.put_with_vector(key("b"), entry("b"), vector_of("b"), TTL)
    await store.execute("HSET", keys.vectors(key("b"), "fake"), key("b").entry, b"short")
    _, news = await entries.get_with_news(key("b"), 0)
    assert news.members == ()


async def test_numbers_grow_for_concurrent_writers(entries: RedisEntryStore, store: Store) -> None:
    roomy = RedisEntryStore(store, replace(SPACE, capacity=1000), news=1000)
    await asyncio.gather(
        *(roomy.put_with_vector(key(str(n)), entry(str(n)), vector_of(str(n)), TTL) for n in range(100))
    )
    scores = await store.execute("ZRANGE", keys.order(key("x"), "fake"), 0, -1, "WITHSCORES")
    assert isinstance(scores, list)
    assert len(set(map(str, scores[1::2]))) == 100


async def test_every_call_is_one_round_trip(entries: RedisEntryStore, store: Store) -> None:
    await entries.put_with_vector(key("a"), entry("a"), vector_of("a"), TTL)
    await entries.get_with_news(key("a"), 0)
    scripts = await calls_of(store, "evalsha")
    await entries.put_with_vector(key("b"), entry("b"), vector_of("b"), TTL)
    await entries.get_with_news(key("a"), 0)
    assert await calls_of(store, "evalsha") - scripts == 2


async def fill(entries: RedisEntryStore) -> None:
    for number in range(50):
        large = replace(entry(f"text {number}"), answer="x" * 200_000)
        await entries.put_with_vector(key(f"text {number}"), large, vector_of("x"), TTL)


async def test_a_full_redis_is_unavailable() -> None:
    with EmbeddedRedis(options={"maxmemory": "2mb", "maxmemory-policy": "noeviction"}) as server:
        async with connect(server.url) as store:
            with pytest.raises(MeshError) as raised:
                await fill(RedisEntryStore(store, SPACE))
            assert raised.value.reason is Reason.STORE_UNAVAILABLE


async def test_counters_add_up(store: Store) -> None:
    tally = RedisTallyStore(store)
    assert await tally.read("t1") == {}
    await tally.add("t1", {"a": 1, "b": 2})
    await tally.add("t1", {"b": 3})
    await tally.add("t2", {"b": 7})
    assert await tally.read("t1") == {"a": 1, "b": 5}
