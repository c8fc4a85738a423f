from pathlib import Path

import pytest

from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from libs.store.script import Script, load
from tests.integration.store.losses import lost


async def test_it_runs_with_keys_and_arguments_of_every_kind(store: Store) -> None:
    script = Script(store, "return {KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[2]) + 1, false, {}}")
    assert await script(["k{t}"], [b"\x00\xff", 41, "ü"]) == [b"k{t}", b"\x00\xff", b"41", "ü".encode(), 42, None, []]


async def test_it_survives_a_script_flush(store: Store) -> None:
    script = Script(store, "return redis.call('INCR', KEYS[1])")
    assert await script(["n"]) == 1
    await store.execute("SCRIPT", "FLUSH")
    assert await script(["n"]) == 2
    assert await script(["n"]) == 3


async def test_it_survives_a_restart(redis: EmbeddedRedis) -> None:
    async with connect(redis.url) as store:
        script = Script(store, "return redis.call('INCR', KEYS[1])")
        assert await script(["n"]) == 1
        redis.restart()
        await lost(store)
        assert await script(["n"]) == 2


async def test_a_mistake_in_the_script_is_internal_and_shows_nothing(store: Store) -> None:
    with pytest.raises(MeshError) as raised:
        await Script(store, "return redis.call('LPUSH', 'only-a-key')")()
    assert raised.value.reason is Reason.INTERNAL
    assert "LPUSH" not in str(raised.value)


async def test_only_an_idempotent_script_is_sent_again_when_the_connection_drops(redis: EmbeddedRedis) -> None:
    async with connect(redis.url) as store:
        source = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"
        for script, survives in ((Script(store, source, idempotent=True), True), (Script(store, source), False)):
            assert await script(["k"], ["before"]) == b"before"
            redis.restart()  # the loop stands still meanwhile, so the script is sent into a dead connection
            if survives:
                assert await script(["k"], ["after"]) == b"after"
            else:
                with pytest.raises(MeshError, match="STORE_UNAVAILABLE"):
                    await script(["k"], ["after"])


def test_scripts_are_loaded_from_beside_the_code(tmp_path: Path) -> None:
    assert "XACK" in load("libs.store.lua", "ack.lua")
    with pytest.raises(FileNotFoundError):
        load("libs.store.lua", "none.lua")
