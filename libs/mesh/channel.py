"""The channel that services and clients use: `AuthServiceStub(MeshChannel("dns:///auth:50051"))`."""

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar, cast

import grpc

from libs.core.clock import Clock, SystemClock
from libs.core.rng import Rng, new_rng
from libs.mesh.calls.stream_stream import StreamStreamMethod
from libs.mesh.calls.stream_unary import StreamUnaryMethod
from libs.mesh.calls.unary_stream import UnaryStreamMethod
from libs.mesh.calls.unary_unary import UnaryUnaryMethod
from libs.mesh.channel_core import ChannelCore, MeshStatistics
from libs.mesh.connectivity import aggregate
from libs.mesh.dialing import dialer
from libs.mesh.endpoint import Dial, Endpoint
from libs.mesh.following import Follower
from libs.mesh.observer import CallObserver, SilentObserver, TelemetryObserver
from libs.mesh.options import DEFAULT_OPTIONS, MeshOptions
from libs.mesh.resolver.base import Resolver
from libs.mesh.resolver.schemes import make_resolver
from libs.mesh.target import parse_target
from libs.mesh.tls import ReloadingCredentials
from libs.telemetry.telemetry import Telemetry

Q = TypeVar("Q")
R = TypeVar("R")
Serializer = Callable[[Q], bytes]
Deserializer = Callable[[bytes], R]


class _Bound(Protocol):
    def forget(self, endpoint: Endpoint) -> None: ...


K = TypeVar("K", bound=_Bound)

_SYSTEM_CLOCK: Final = SystemClock()


class MeshChannel(grpc.aio.Channel):
    """A `grpc.aio.Channel` over all endpoints of a target.

    A `static:///` target works at once; `dns:///` and `k8s:///` ones, and certificates in files, are followed in the
    background: by a task group that is given, or else by one of the channel's own while it is entered (`async with`).

    Each call is bounded by the request being served, or else by the options' default, and carries its trace context
    and token. It goes to the endpoint that the policy finds best among the healthy ones, and is tried again where the
    options say so.
    """

    def __init__(
        self,
        target: str,
        options: MeshOptions = DEFAULT_OPTIONS,
        *,
        telemetry: Telemetry | None = None,
        clock: Clock = _SYSTEM_CLOCK,
        rng: Rng | None = None,
        resolver: Resolver | None = None,
        dial: Dial | None = None,
        tasks: asyncio.TaskGroup | None = None,
    ) -> None:
        """Make a channel; nothing is connected before the first call or `async with`.

        Args:
            target: `static:///host:port,host:port`, `dns:///host:port` or `k8s:///service.namespace:port`.
            options: everything that can be chosen.
            telemetry: where metrics and state changes go, or None for nowhere.
            clock: time, for policies and backoffs.
            rng: the source of jitter and picks; None seeds one from the operating system.
            resolver: replaces the one that `target` names, for tests.
            dial: replaces real connections, for simulations.
            tasks: follows the target, so that the channel need not be entered; it must be closed before the group can
                end.

        Raises:
            InvalidConfigurationError: naming every fault of the target, or of the certificates.
        """
        parsed = parse_target(target)
        random = rng or new_rng()
        observer: CallObserver = SilentObserver() if telemetry is None else TelemetryObserver(target, telemetry)
        if resolver is None:
            resolver = make_resolver(parsed, options, clock, random, observer.resolution_failed)
        certificates = None
        if options.tls is not None:
            certificates = ReloadingCredentials(
                options.tls, clock, changed=self._certificates_changed, failed=observer.certificates_failed
            )
        credentials = (lambda: options.credentials) if certificates is None else certificates.current
        self._observer: Final = observer
        self._core: Final = ChannelCore(
            target, options, observer, clock, random, dial or dialer(options, credentials, resolver.authority)
        )
        self._methods: Final[dict[Hashable, _Bound]] = {}
        self._follower: Final = Follower(self._core, resolver, certificates, self._forget)
        self._own_tasks: asyncio.TaskGroup | None = None
        known = resolver.known()
        if known is not None:
            self._core.apply(known)
        if tasks is not None:
            self._follower.start(tasks)

    def statistics(self) -> MeshStatistics:
        """A snapshot of endpoints, breakers, budget and counts."""
        return self._core.statistics()

    # Life.

    async def __aenter__(self) -> Self:
        """Start following the target and connecting."""
        if self._follower.needed and not self._follower.started:
            self._own_tasks = await asyncio.TaskGroup().__aenter__()
            self._follower.start(self._own_tasks)
        for endpoint in self._core.endpoints:
            endpoint.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        """Close."""
        await self.close()
        if self._own_tasks is not None:
            # Without the block's exception: a caller's error is not to come out wrapped in a group.
            await self._own_tasks.__aexit__(None, None, None)
        return None

    async def close(self, grace: float | None = None) -> None:
        """Refuse new calls, give those in flight `grace` seconds, then cancel them. Idempotent."""
        if not self._core.closed:
            await self._follower.close(self._core.close(), grace)

    def _certificates_changed(self) -> None:
        self._observer.certificates_changed()
        self._follower.redial()

    def _forget(self, endpoint: Endpoint) -> None:
        for method in self._methods.values():
            method.forget(endpoint)

    # Connectivity.

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The best state of any endpoint."""
        if self._core.closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        return aggregate(self._core.states(try_to_connect))

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until `get_state` gives something else."""
        while not self._core.closed:
            states = self._core.states(try_to_connect=False)
            if aggregate(states) is not last_observed_state:
                return
            await self._core.wait_for_change(states)

    async def channel_ready(self) -> None:
        """Wait until an endpoint is connected."""
        self._core.check_usable()
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)
            # A closed channel's state does not change any more: waiting for that would never yield.
            self._core.check_usable()

    # Methods. Making one twice gives the same object, so that stubs may be made as often as one likes.

    def unary_unary(
        self,
        method: str,
        request_serializer: Serializer[Q] | None = None,
        response_deserializer: Deserializer[R] | None = None,
        _registered_method: bool = False,
    ) -> UnaryUnaryMethod[Q, R]:
        """A method with one request and one response."""

        def make() -> UnaryUnaryMethod[Q, R]:
            return UnaryUnaryMethod(
                self._core, method, lambda at: at.unary_unary(method, request_serializer, response_deserializer)
            )

        return self._method(("unary_unary", method, request_serializer, response_deserializer), make)

    def unary_stream(
        self,
        method: str,
        request_serializer: Serializer[Q] | None = None,
        response_deserializer: Deserializer[R] | None = None,
        _registered_method: bool = False,
    ) -> UnaryStreamMethod[Q, R]:
        """A method with one request and a stream of responses."""

        def make() -> UnaryStreamMethod[Q, R]:
            return UnaryStreamMethod(
                self._core, method, lambda at: at.unary_stream(method, request_serializer, response_deserializer)
            )

        return self._method(("unary_stream", method, request_serializer, response_deserializer), make)

    def stream_unary(
        self,
        method: str,
        request_serializer: Serializer[Q] | None = None,
        response_deserializer: Deserializer[R] | None = None,
        _registered_method: bool = False,
    ) -> StreamUnaryMethod[Q, R]:
        """A method with a stream of requests and one response."""

        def make() -> StreamUnaryMethod[Q, R]:
            return StreamUnaryMethod(
                self._core, method, lambda at: at.stream_unary(method, request_serializer, response_deserializer)
            )

        return self._method(("stream_unary", method, request_serializer, response_deserializer), make)

    def stream_stream(
        self,
        method: str,
        request_serializer: Serializer[Q] | None = None,
        response_deserializer: Deserializer[R] | None = None,
        _registered_method: bool = False,
    ) -> StreamStreamMethod[Q, R]:
        """A method with a stream of requests and a stream of responses."""

        def make() -> StreamStreamMethod[Q, R]:
            return StreamStreamMethod(
                self._core, method, lambda at: at.stream_stream(method, request_serializer, response_deserializer)
            )

        return self._method(("stream_stream", method, request_serializer, response_deserializer), make)

    def _method(self, key: Hashable, make: Callable[[], K]) -> K:
        if key not in self._methods:
            self._methods[key] = make()
        # The key holds the kind and both types' functions, so what is found under it is what `make` would give.
        return cast("K", self._methods[key])

    def __repr__(self) -> str:
        state = " closed" if self._core.closed else ""
        counts = self._core.statistics()
        return f"<MeshChannel {counts.target}{state} {counts.balancer.healthy} of {counts.balancer.endpoints} healthy>"
