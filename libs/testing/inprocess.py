"""Real gRPC servers on the loopback interface, inside the test's own process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

Register = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers at `address`."""

    server: grpc.aio.Server
    address: str
    """`127.0.0.1:<port>`."""

    @property
    def target(self) -> str:
        """A mesh target with this server alone."""
        return f"static:///{self.address}"


@asynccontextmanager
async def serving(*registrations: Register, port: int = 0) -> AsyncIterator[RunningServer]:
    """Serve until the block ends; calls that are still running then are cancelled.

    Args:
        registrations: each adds a servicer, such as `lambda server: add_AuthServiceServicer_to_server(it, server)`.
        port: 0 takes a free one.
    """
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    for register in registrations:
        register(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield RunningServer(server, f"127.0.0.1:{bound}")
    finally:
        await server.stop(None)


def handlers(service: str, methods: Mapping[str, "grpc.RpcMethodHandler[bytes, bytes]"]) -> Register:
    """A registration of handlers that deal in plain bytes, for tests that need no contract.

    Args:
        service: the full name, such as `test.Echo`.
        methods: by method name, as `grpc.unary_unary_rpc_method_handler(...)` and its like make them.
    """

    def register(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, dict(methods))])

    return register
