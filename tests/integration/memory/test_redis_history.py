import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.memory.adapters.keys import keys_of
from services.memory.adapters.redis_history import RedisHistory
from services.memory.ports import ConversationKey, Record
from tests.unit.memory.properties import seeded

KEY = ConversationKey("t1", "u1", "c1")
TOMBSTONE_MS = 60_000


@pytest.fixture
def history(store: Store) -> RedisHistory:
    return RedisHistory(store, TOMBSTONE_MS)


def turn(name: str, tokens: int = 10) -> list[Record]:
    return [Record(f"{name}-question".encode(), tokens), Record(f"{name}-answer".encode(), tokens)]


async def bodies(history: RedisHistory, key: ConversationKey = KEY) -> list[bytes]:
    return list((await history.slice(key, "", 0, 1000)).bodies)


async def test_turns_come_back_in_order(history: RedisHistory) -> None:
    assert (await history.append(KEY, "r1", turn("one"))).message_count == 2
    assert (await history.append(KEY, "r2", turn("two"))).message_count == 4
    assert await bodies(history) == [b"one-question", b"one-answer", b"two-question", b"two-answer"]


async def test_the_same_request_adds_nothing(history: RedisHistory) -> None:
    await history.append(KEY, "r1", turn("one"))
    again = await history.append(KEY, "r1", turn("one"))
    assert again.duplicate
    assert again.message_count == 2


async def test_concurrent_turns_stay_whole_and_none_is_lost(history: RedisHistory) -> None:
    names = [f"turn{number}" for number in range(40)]
    # Each is sent twice, as a retry would.
    results = await asyncio.gather(*(history.append(KEY, name, turn(name)) for name in names * 2))
    assert sum(result.duplicate for result in results) == len(names)
    kept = await bodies(history)
    assert len(kept) == 80
    for question, answer in zip(kept[::2], kept[1::2], strict=True):
        assert question.removesuffix(b"-question") == answer.removesuffix(b"-answer")


async def test_the_tail_is_what_fits(history: RedisHistory) -> None:
    for number in range(5):
        await history.append(KEY, f"r{number}", turn(f"t{number}"))
    tail = await history.tail(KEY, max_tokens=45, max_messages=100)
    assert [record.body for record in tail.records] == [b"t3-question", b"t3-answer", b"t4-question", b"t4-answer"]
    assert [record.tokens for record in tail.records] == [10] * 4
    assert tail.message_count == 10
    assert len((await history.tail(KEY, max_tokens=1000, max_messages=3)).records) == 3
    assert (await history.tail(KEY, max_tokens=9, max_messages=3)).records == ()
    newest = await history.tail(KEY, max_tokens=9, max_messages=3, at_least=2)
    assert [record.body for record in newest.records] == [b"t4-question", b"t4-answer"]
    assert len((await history.tail(KEY, max_tokens=9, max_messages=3, at_least=99)).records) == 3
    assert len((await history.tail(KEY, max_tokens=35, max_messages=99, at_least=2)).records) == 3


async def test_the_tail_of_nothing(history: RedisHistory) -> None:
    tail = await history.tail(KEY, 100, 100)
    assert (tail.records, tail.message_count) == ((), 0)


@given(
    sizes=st.lists(st.integers(min_value=5, max_value=60), min_size=1, max_size=12),
    budget=st.integers(min_value=1, max_value=300),
    limit=st.integers(min_value=1, max_value=14),
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tail_is_the_longest_suffix_inside_both_bounds(
    redis: EmbeddedRedis, sizes: list[int], budget: int, limit: int
) -> None:
    async def check() -> list[int]:
        async with connect(redis.url) as store:
            history = RedisHistory(store, TOMBSTONE_MS)
            key = ConversationKey("t1", "property", "c1")
            await store.execute("DEL", *keys_of(key))
            await history.append(key, "r1", [Record(b"x", size) for size in sizes])
            return [record.tokens for record in (await history.tail(key, budget, limit)).records]

    suffixes = [sizes[start:] for start in range(len(sizes) + 1)]
    expected = next(each for each in suffixes if len(each) <= limit and sum(each) <= budget)
    assert asyncio.run(check()) == expected


async def test_pages(history: RedisHistory) -> None:
    for number in range(3):
        await history.append(KEY, f"r{number}", turn(f"t{number}"))
    first = await history.slice(KEY, "", 0, 4)
    assert (len(first.bodies), first.more) == (4, True)
    last = await history.slice(KEY, "", 4, 4)
    assert (last.bodies, last.more) == ((b"t2-question", b"t2-answer"), False)
    assert (await history.slice(KEY, "", 99, 4)).bodies == ()


async def test_pages_of_one_turn(history: RedisHistory) -> None:
    for number in range(3):
        await history.append(KEY, f"r{number}", turn(f"t{number}"))
    one = await history.slice(KEY, "r1", 0, 1)
    assert (one.bodies, one.more) == ((b"t1-question",), True)
    other = await history.slice(KEY, "r1", 1, 1)
    assert (other.bodies, other.more) == ((b"t1-answer",), False)
    assert (await history.slice(KEY, "unknown", 0, 1)).bodies == ()


async def test_a_deleted_conversation_stays_deleted(history: RedisHistory) -> None:
    await history.append(KEY, "r1", turn("one"))
    assert await history.delete(KEY, "d1") == 2
    late = await history.append(KEY, "r2", turn("late"))
    assert (late.duplicate, late.message_count) == (True, 0)
    assert await bodies(history) == []


async def test_a_repeated_deletion_says_the_same(history: RedisHistory) -> None:
    await history.append(KEY, "r1", turn("one"))
    assert await history.delete(KEY, "d1") == 2
    assert await history.delete(KEY, "d1") == 2
    assert await history.delete(KEY, "d2") == 0


async def test_a_deletion_leaves_only_a_tombstone_that_expires(history: RedisHistory, store: Store) -> None:
    await history.append(KEY, "r1", turn("one"))
    await history.delete(KEY, "d1")
    remaining = await store.execute("KEYS", "*")
    assert remaining == [keys_of(KEY).deleted.encode()]
    lifetime = await store.execute("PTTL", keys_of(KEY).deleted)
    assert isinstance(lifetime, int)
    assert 0 < lifetime <= TOMBSTONE_MS


@pytest.mark.parametrize(
    "other",
    [
        ConversationKey("t2", "u1", "c1"),
        ConversationKey("t1", "u2", "c1"),
        ConversationKey("t1", "u1}:conversation:c1", "c1"),
        ConversationKey("t1", "", "c1"),
    ],
)
async def test_nobody_elses_conversation_is_touched(history: RedisHistory, other: ConversationKey) -> None:
    await history.append(KEY, "r1", turn("mine"))
    assert await bodies(history, other) == []
    assert await history.delete(other, "d1") == 0
    assert len(await bodies(history)) == 2


@given(
    st.lists(
        st.builds(ConversationKey, st.text("ab1", min_size=1), st.text("a:{}/%"), st.text("c:}{/%", min_size=1)),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
@seeded
def test_different_conversations_have_different_keys_and_one_slot_each(pair: list[ConversationKey]) -> None:
    one, two = (keys_of(key) for key in pair)
    assert not set(one) & set(two)
    assert len({name[: name.index("}") + 1] for name in one}) == 1


async def test_messages_survive_a_crash_of_redis_and_its_absence_is_typed() -> None:
    with EmbeddedRedis(options={"appendfsync": "always"}) as server:
        async with connect(server.url, timeout=0.5) as store:
            history = RedisHistory(store, TOMBSTONE_MS)
            await history.append(KEY, "r1", turn("one"))
            server.kill()
            with pytest.raises(MeshError) as raised:
                await history.append(KEY, "r2", turn("two"))
            assert raised.value.reason is Reason.STORE_UNAVAILABLE
            assert raised.value.retry_after is not None
            server.restart()
            assert (await history.append(KEY, "r1", turn("one"))).duplicate
            assert len(await bodies(history)) == 2
