import asyncio
from pathlib import Path

import pytest
import uvloop

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.replies import blob
from libs.store.script import Script
from libs.store.streams import StreamQueue


async def test_commands_of_many_tasks_share_one_connection(store: Store) -> None:
    async def count() -> None:
        for _ in range(20):
            await store.execute("INCR", "counter")

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(count())
    assert await store.execute("GET", "counter") == b"200"
    assert store.statistics().dials == 1
    assert store.statistics().connected


def test_it_works_on_the_event_loop_that_servers_run(redis: EmbeddedRedis) -> None:
    async def converse() -> None:
        async with connect(redis.url) as store:
            queue = StreamQueue(store, "test:{uvloop}:queue")
            origin = await queue.enqueue({"n": "1"})
            assert [entry.id for entry in await queue.read("a", block_seconds=0.1)] == [origin]
            assert await queue.ack(origin)

    uvloop.run(converse())


async def test_redis_py_is_there_for_everything_else(store: Store) -> None:
    with store.guard():
        await store.redis.hset("h", mapping={"a": "1"})
        assert await store.redis.hgetall("h") == {b"a": b"1"}
    with pytest.raises(MeshError) as raised, store.guard():
        await store.redis.get("h")
    assert raised.value.reason is Reason.INTERNAL


async def test_a_command_that_redis_refuses_is_internal_and_hurts_nobody_else(store: Store) -> None:
    with pytest.raises(MeshError) as raised:
        await store.execute("NO-SUCH-COMMAND")
    assert raised.value.reason is Reason.INTERNAL
    await store.ping()


async def test_a_cancelled_caller_leaves_the_connection_in_order(store: Store) -> None:
    await store.execute("SET", "a", "1")
    task_started = asyncio.Event()

    async def reader() -> None:
        task_started.set()
        await store.execute("GET", "a")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader())
        await task_started.wait()
        task.cancel()
    assert await store.execute("ECHO", "x") == b"x"
    assert store.statistics().dials == 1


async def test_a_store_that_is_not_there_fails_at_once_with_a_time_to_retry() -> None:
    async with connect("redis://127.0.0.1:1/0") as store:
        with pytest.raises(MeshError) as raised:
            await store.ping()
        assert raised.value.reason is Reason.STORE_UNAVAILABLE
        assert raised.value.retry_after == 1.0
        with pytest.raises(MeshError, match="STORE_UNAVAILABLE"), store.guard():
            await store.redis.get("k")


async def test_killed_under_load_everybody_gets_a_typed_error_and_later_an_answer(redis: EmbeddedRedis) -> None:
    outcomes: list[Reason | None] = []

    async def ask(store: Store) -> None:
        try:
            await store.execute("INCR", "k")
        except MeshError as error:
            outcomes.append(error.reason)
        else:
            outcomes.append(None)

    async with connect(redis.url, timeout=1.0) as store, asyncio.timeout(10):
        await store.ping()
        redis.pause()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(ask(store))
            asyncio.get_running_loop().call_later(0.05, redis.kill)
        assert outcomes == [Reason.STORE_UNAVAILABLE] * 20
        redis.start()
        await store.ping()
        assert store.statistics().dials == 2


async def test_a_frozen_store_costs_one_timeout_not_one_each(redis: EmbeddedRedis) -> None:
    loop = asyncio.get_running_loop()
    async with connect(redis.url, timeout=0.2, connect_timeout=0.2) as store:
        await store.ping()
        redis.pause()
        started = loop.time()
        for _ in range(2):  # first on the standing connection, then while dialling
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_reason(store)) for _ in range(25)]
            assert {task.result() for task in tasks} == {Reason.STORE_UNAVAILABLE}
        assert loop.time() - started < 2.0
        redis.resume()
        await store.ping()


async def _reason(store: Store) -> Reason | None:
    try:
        await store.ping()
    except MeshError as error:
        return error.reason
    return None


async def test_nobody_queues_for_ever_for_a_pooled_connection(redis: EmbeddedRedis) -> None:
    async with connect(redis.url, max_connections=1, connect_timeout=0.1) as store, asyncio.TaskGroup() as group:
        group.create_task(_block(store))
        while b"cmd=blpop" not in blob(await store.execute("CLIENT", "LIST")):
            pass
        with pytest.raises(MeshError) as raised, store.guard():
            await store.redis.get("k")
        assert raised.value.reason is Reason.STORE_UNAVAILABLE
        await store.ping()  # the shared connection is free of it


async def _block(store: Store) -> None:
    with store.guard():
        await store.redis.execute_command("BLPOP", "nothing", "0.8")


async def test_a_full_store_refuses_writes_typed_and_still_reads(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"maxmemory-policy": "noeviction"}) as redis:
        async with connect(redis.url) as store:
            writes = Script(store, "return redis.call('SET', KEYS[1], ARGV[1])")
            await store.execute("SET", "k", "v")
            await store.execute("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(MeshError) as plain:
                await store.execute("SET", "k", "w")
            with pytest.raises(MeshError) as scripted:
                await writes(["k"], ["w"])
            assert {plain.value.reason, scripted.value.reason} == {Reason.STORE_UNAVAILABLE}
            assert plain.value.retry_after == 1.0
            assert await store.execute("GET", "k") == b"v"


async def test_password_and_database_are_used(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"requirepass": "hush"}) as redis:
        host, port = redis.address
        async with connect(f"redis://:hush@{host}:{port}/3") as store:
            await store.execute("SET", "k", "v")
            with store.guard():
                assert await store.redis.get("k") == b"v"
            await store.execute("SELECT", "0")
            assert await store.execute("GET", "k") is None
        async with connect(f"redis://:wrong@{host}:{port}/0") as store:
            with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                await store.ping()


async def test_a_replica_that_is_written_to_is_unavailable(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "primary") as primary:
        options = {"replicaof": f"127.0.0.1 {primary.address[1]}"}
        with EmbeddedRedis(tmp_path / "replica", options=options) as replica:
            async with connect(replica.url) as store:
                for write in (store.execute("SET", "k", "v"), Script(store, "redis.call('SET','k','v')")(["k"])):
                    with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                        await write


async def test_a_cluster_answers_like_a_single_server(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"cluster-enabled": "yes"}) as redis:
        async with connect(redis.url) as node:
            await node.execute("CLUSTER", "ADDSLOTS", *range(16384))
        async with connect(redis.url.removesuffix("/0").replace("redis://", "redis+cluster://")) as store:
            script = Script(store, "redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), 7, false}")
            async with asyncio.timeout(10):
                while await _reason(store) is not None:
                    pass
                while (reply := await _or_none(script)) is None:
                    pass
            assert reply == [b"1", 7, None]
            assert await store.execute("GET", "x:{t}") == b"1"
            redis.kill()
            with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                await store.execute("GET", "x:{t}")
            redis.start()


async def _or_none(script: Script) -> object:
    try:
        return await script(["x:{t}"], ["1"])
    except MeshError:
        return None  # a cluster needs a moment after its slots were given out
