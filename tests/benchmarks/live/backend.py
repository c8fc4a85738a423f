"""One replica: a grpc.aio server in a process of its own that behaves as its standard input tells it.

    python -m tests.benchmarks.live.backend SEED

Prints the port it listens on. Each line of standard input is the name of a `Behaviour`; ends when the input does.
"""

import asyncio
import sys
from enum import Enum
from math import exp
from typing import Final

import grpc
import uvloop

from libs.core.clock import Clock, SystemClock
from libs.core.rng import new_rng

SERVICE: Final = "agentmesh.benchmarks.Replica"
METHOD: Final = f"/{SERVICE}/Answer"

_MEDIAN: Final = 0.01
_SIGMA: Final = 0.15
"""Of the logarithm: the slowest hundredth of the answers takes 14 ms."""
_SLOW: Final = 0.5


class Behaviour(Enum):
    """How a replica answers."""

    WELL = "well"
    """After about 10 ms."""
    SLOW = "slow"
    """After 500 ms."""
    FAILING = "failing"
    """At once, with UNAVAILABLE."""
    KILLED = "killed"
    """Not at all: its process is gone. Nothing a replica can be told."""


class Replica:
    """The servicer."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._rng: Final = new_rng(seed)
        self._clock: Final = clock
        self.behaviour = Behaviour.WELL

    async def answer(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Echo, in the way it was told."""
        if self.behaviour is Behaviour.FAILING:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "as told")
        await self._clock.sleep(_SLOW if self.behaviour is Behaviour.SLOW else self._service_time())
        return request

    async def follow(self, orders: asyncio.StreamReader) -> None:
        """Behave as each line says, until there are no more."""
        async for line in orders:
            self.behaviour = Behaviour(line.decode().strip())

    def _service_time(self) -> float:
        return _MEDIAN * exp(self._rng.gauss(0.0, _SIGMA))


async def main() -> None:
    """Serve until the parent goes."""
    replica = Replica(int(sys.argv[1]), SystemClock())
    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(replica.answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Answer": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(port, flush=True)
    await replica.follow(orders)
    await server.stop(None)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
