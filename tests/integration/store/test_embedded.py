import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from libs.store.connection import connect
from libs.store.embedded import EmbeddedRedis, RedisStartError
from tests.integration.store.losses import lost


def test_it_serves_on_loopback_and_is_gone_afterwards(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as redis:
        pid = redis.pid
        assert redis.running
        assert redis.url == f"redis://127.0.0.1:{redis.address[1]}/0"
    assert not psutil.pid_exists(pid)
    assert not redis.running


def test_a_temporary_directory_goes_with_it() -> None:
    with EmbeddedRedis() as redis:
        directory = Path(repr(redis).removeprefix("EmbeddedRedis(").partition(",")[0])
        assert directory.is_dir()
    assert not directory.exists()


async def test_data_survives_an_orderly_restart_on_the_same_port(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as redis:
        port = redis.address[1]
        async with connect(redis.url) as store:
            await store.execute("SET", "k", "v")
            redis.restart()
            await lost(store)
            assert await store.execute("GET", "k") == b"v"
        assert redis.address[1] == port


async def test_data_that_was_synced_survives_a_kill(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, options={"appendfsync": "always"}) as redis:
        async with connect(redis.url) as store:
            await store.execute("SET", "k", "v")
            redis.kill()
            assert not redis.running
            redis.start()
            await lost(store)
            assert await store.execute("GET", "k") == b"v"


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        redis = EmbeddedRedis(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(RedisStartError, match="in use"):
            redis.start()
    assert not redis.running


def test_it_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from libs.store.embedded import EmbeddedRedis\n"
        "redis = EmbeddedRedis(Path(sys.argv[1])); redis.start(); print(redis.pid, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    _, alive = psutil.wait_procs([server], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
