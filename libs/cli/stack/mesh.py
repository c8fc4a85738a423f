"""The local mesh: Redis, the simulator and every service, started together and drained together."""

import asyncio
import signal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.cli.stack.plans import GRPC_SERVICES, SIMULATOR, WORKER, Addresses, StackOptions, plans
from libs.cli.stack.process import Process, StartError
from libs.cli.stack.secrets import Secrets
from libs.core.ports import free_loopback_ports
from libs.core.rng import new_rng
from libs.store.embedded import EmbeddedRedis

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 15.0
_HEALTH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1


class LocalMesh:
    """`async with LocalMesh(StackOptions(directory)) as mesh:` runs everything until the block ends."""

    def __init__(self, options: StackOptions) -> None:
        self.options: Final = options
        self.directory: Final = options.directory
        self.secrets: Final = Secrets.load_or_make(options.directory)
        self.redis: Final = EmbeddedRedis(options.directory / "redis")
        self.processes: list[Process] = []
        self.addresses = Addresses("", 0, {})

    def __repr__(self) -> str:
        return f"LocalMesh({self.directory}, {self.processes})"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
            await self.wait_serving(_START_SECONDS)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def conversation_target(self) -> str:
        """What a client dials."""
        return self.addresses.target("conversation")

    def target(self, service: str) -> str:
        """What a mesh channel dials for a service."""
        return self.addresses.target(service)

    @property
    def simulator_url(self) -> str:
        """The simulator's HTTP address; empty if there is none."""
        return f"http://127.0.0.1:{self.addresses.simulator_port}" if self.addresses.simulator_port else ""

    def of(self, service: str) -> list[Process]:
        """The processes of a service."""
        return [process for process in self.processes if process.plan.service == service]

    def admin_url(self, process: Process) -> str:
        """The admin HTTP address of a process."""
        return f"http://{process.announced['admin']}" if "admin" in process.announced else ""

    async def start(self) -> None:
        """Start every process; returns when all listen. If it fails, `stop` ends what was started.

        Raises:
            RedisStartError: Redis did not come up.
            StartError: another process did not.
        """
        # Not in a thread: that would still be starting it when whoever was cancelled here has stopped everything.
        self.redis.start()
        self.addresses = self._choose_addresses()
        self.processes = [Process(plan, self.directory) for plan in plans(self.options, self.secrets, self.addresses)]
        for process in self.processes:
            await process.start()
        try:
            async with asyncio.TaskGroup() as group:
                for process in self.processes:
                    group.create_task(process.wait_ready(_START_SECONDS))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def wait_serving(self, timeout: float) -> None:
        """Return once every service reports SERVING; StartError naming those that do not."""
        try:
            async with asyncio.timeout(timeout):
                while waiting := [process for process in self.processes if not await self.serving(process)]:
                    if dead := [process for process in waiting if not process.alive]:
                        raise StartError(f"{dead[0].plan.name} ended:\n{dead[0].log_tail()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            names = ", ".join(process.plan.name for process in waiting)
            raise StartError(f"not serving after {timeout:g} s: {names}\n{waiting[0].log_tail()}") from None

    async def serving(self, process: Process) -> bool:
        """Whether a process reports SERVING; the simulator has no health but its port."""
        if not process.alive or not process.announced:
            return False
        if process.plan.service == SIMULATOR:
            return True
        async with grpc.aio.insecure_channel(process.announced["grpc"], _DIRECT) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS)
            except grpc.aio.AioRpcError:
                return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Drain in the order of a request's way, so that nobody loses a dependency: front door first, Redis last."""
        fronts = [process for process in self.processes if process.plan.service in ("conversation", WORKER)]
        backs = [process for process in self.processes if process not in fronts]
        for wave in (fronts, backs):
            async with asyncio.TaskGroup() as group:
                for process in wave:
                    group.create_task(process.stop(_STOP_SECONDS))
        await asyncio.to_thread(self.redis.stop)

    def kill(self, process: Process) -> None:
        """End a process as a crash would."""
        process.signal(signal.SIGKILL)

    def _choose_addresses(self) -> Addresses:
        needed = {service: self.options.count(service) for service in GRPC_SERVICES}
        free = iter(free_loopback_ports(sum(needed.values()) + 1, new_rng()))
        ports = {service: [next(free) for _ in range(count)] for service, count in needed.items()}
        if self.options.front_door_port and ports["conversation"]:
            ports["conversation"][0] = self.options.front_door_port
        simulator = 0 if self.options.anthropic_api_key else next(free)
        return Addresses(self.redis.url, simulator, {service: tuple(chosen) for service, chosen in ports.items()})


_DIRECT: Final = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


def default_directory() -> Path:
    """`.agentmesh` below the current directory."""
    return Path.cwd() / ".agentmesh"
