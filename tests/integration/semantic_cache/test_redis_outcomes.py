from libs.store.connection import Store
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_outcomes import RedisOutcomeLog
from tests.integration.semantic_cache.stored import ttl_ms


async def test_outcomes_come_once_and_in_order(store: Store) -> None:
    log = RedisOutcomeLog(store, "fake")
    assert await log.since("t1", "") == ([], "")
    for number in range(3):
        await log.append("t1", f"r{number}", bytes([number]))
    found, cursor = await log.since("t1", "")
    assert found == [b"\0", b"\1", b"\2"]
    assert await log.since("t1", cursor) == ([], cursor)
    await log.append("t1", "r3", b"\3")
    found, cursor = await log.since("t1", cursor)
    assert found == [b"\3"]


async def test_a_request_counts_once(store: Store) -> None:
    log = RedisOutcomeLog(store, "fake")
    for outcome in (b"first", b"again"):
        await log.append("t1", "r", outcome)
    await log.append("t2", "r", b"another tenant's")
    assert (await log.since("t1", ""))[0] == [b"first"]
    assert (await log.since("t2", ""))[0] == [b"another tenant's"]
    assert 3_500_000 < await ttl_ms(store, keys.reported("t1", "r")) <= 3_600_000
    assert await ttl_ms(store, keys.outcomes("t1", "fake")) > 89 * 86_400_000


async def test_spaces_learn_apart(store: Store) -> None:
    await RedisOutcomeLog(store, "fake").append("t1", "r", b"x")
    assert (await RedisOutcomeLog(store, "other").since("t1", ""))[0] == []


async def test_the_log_is_bounded(store: Store) -> None:
    log = RedisOutcomeLog(store, "fake", most=100)
    for number in range(400):
        await log.append("t1", str(number), number.to_bytes(2, "big"))
    found, _ = await log.since("t1", "")
    assert 100 <= len(found) < 250
    assert found == [number.to_bytes(2, "big") for number in range(400 - len(found), 400)]


async def test_a_long_log_is_read_whole(store: Store) -> None:
    fill = "for number = 1, 2500 do redis.call('XADD', KEYS[1], '*', 'o', number) end"
    await store.execute("EVAL", fill, 1, keys.outcomes("t1", "fake"))
    found, _ = await RedisOutcomeLog(store, "fake").since("t1", "")
    assert found == [b"%d" % number for number in range(1, 2501)]
