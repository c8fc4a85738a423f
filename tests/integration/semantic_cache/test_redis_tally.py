from libs.store.connection import Store
from services.semantic_cache.adapters.redis_tally import RedisTallyStore


async def test_counters_add_up(store: Store) -> None:
    tally = RedisTallyStore(store)
    assert await tally.read("t1") == {}
    await tally.add("t1", {"a": 1, "b": 2})
    await tally.add("t1", {"b": 3})
    await tally.add("t2", {"b": 7})
    assert await tally.read("t1") == {"a": 1, "b": 5}
