"""Certificates are replaced under a running server and a running client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copyfile

import grpc
import pytest

from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.mesh.tls import ReloadingCredentials, TlsFiles
from libs.server.settings import ServerSettings
from libs.server.tls import server_credentials
from libs.testing.clock import ManualClock
from libs.testing.inprocess import handlers
from tests.integration.mesh.echo import EchoStub
from tests.integration.server.certificates import Authority

Context = grpc.aio.ServicerContext[bytes, bytes]


class Live:
    """The files that the processes were told of, and what is put there one after the other."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(exist_ok=True)
        self._name = name
        self.ca, self.certificate, self.key = (directory / f"{name}-live.{end}" for end in ("ca", "pem", "key"))

    def install(self, authority: Authority, name: str) -> None:
        pair = authority.issue(f"{self._name}-{name}")
        copyfile(authority.certificate, self.ca)
        copyfile(pair.certificate, self.certificate)
        copyfile(pair.key, self.key)

    def credentials(self, clock: ManualClock) -> ReloadingCredentials:
        files = TlsFiles(self.ca, self.certificate, self.key)
        return ReloadingCredentials(files, clock, lambda: None, lambda fault: None)


async def whoever_asks(request: bytes, context: Context) -> bytes:
    return b",".join(context.auth_context()["x509_common_name"])


@asynccontextmanager
async def serving(live: Live, clock: ManualClock) -> AsyncIterator[str]:
    settings = ServerSettings(tls_certificate_file=live.certificate, tls_key_file=live.key, tls_client_ca_file=live.ca)
    credentials = server_credentials(settings, clock)
    assert credentials is not None
    server = grpc.aio.server()
    handlers("test.Echo", {"Unary": grpc.unary_unary_rpc_method_handler(whoever_asks)})(server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"static:///127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def ask(target: str, credentials: grpc.ChannelCredentials) -> bytes:
    async with MeshChannel(target, MeshOptions(credentials=credentials)) as channel:
        return await EchoStub(channel).unary(b"", timeout=5)


async def test_both_sides_move_to_a_new_authority(tmp_path: Path) -> None:
    clock = ManualClock()
    server, client = Live(tmp_path, "server"), Live(tmp_path, "client")
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    for live in (server, client):
        live.install(first, "old")
    async with serving(server, clock) as target, asyncio.TaskGroup() as group:
        credentials = client.credentials(clock)
        running = group.create_task(credentials.run())
        await clock.settle()
        old = credentials.current()
        async with MeshChannel(target, MeshOptions(credentials=old)) as before:
            assert await EchoStub(before).unary(b"") == b"client-old"
            for live in (server, client):
                live.install(second, "new")
            assert await ask(target, old) == b"client-old"  # too early to look
            await clock.run(11)
            assert await ask(target, credentials.current()) == b"client-new"
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(target, old)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert await EchoStub(before).unary(b"") == b"client-old"  # its connection was there before
        running.cancel()


async def test_a_broken_set_leaves_the_old_one_in_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    server, client = Live(tmp_path, "server"), Live(tmp_path, "client")
    authority = Authority(tmp_path, "first")
    for live in (server, client):
        live.install(authority, "old")
    async with serving(server, clock) as target:
        credentials = client.credentials(clock).current()
        assert await ask(target, credentials) == b"client-old"
        server.key.write_text("half a ke")
        for _ in range(3):
            clock.advance(11)
            assert await ask(target, credentials) == b"client-old"
        (message,) = [record.message for record in caplog.records if record.name == "libs.server.tls"]
        assert "server-live.key holds no PEM private key" in message
        server.install(authority, "new")
        clock.advance(11)
        assert await ask(target, credentials) == b"client-old"
