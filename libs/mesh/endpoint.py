"""One address of a peer and the connection to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc

from libs.mesh.breaker import Breaker, BreakerStatistics
from libs.mesh.options import MeshOptions

_MAX_RECONNECT_BACKOFF: Final = 1.0  # seconds; C-core's default of 120 s outlives every restart of a pod.
_INITIAL_RECONNECT_BACKOFF: Final = 0.1


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """A snapshot of one endpoint."""

    address: str
    in_flight: int
    """Attempts that have not ended."""
    attempts: int
    """Attempts since the endpoint was made."""
    failures: int
    """Attempts that ended with a code other than OK."""
    breaker: BreakerStatistics


class Endpoint:
    """An address, its own channel (so that a failure has a culprit), its breaker and what is in flight."""

    __slots__ = ("_channel", "_dial", "_idle", "address", "attempts", "breaker", "failures", "in_flight")

    def __init__(self, address: str, breaker: Breaker, dial: Callable[[str], grpc.aio.Channel]) -> None:
        self.address: Final = address
        self.breaker: Final = breaker
        self.in_flight = 0
        self.attempts = 0
        self.failures = 0
        self._dial: Final = dial
        self._channel: grpc.aio.Channel | None = None
        self._idle: asyncio.Event | None = None

    @property
    def channel(self) -> grpc.aio.Channel:
        """The connection, made when first needed: gRPC objects belong to the event loop and the process they run in."""
        if self._channel is None:
            self._channel = self._dial(self.address)
        return self._channel

    def connect(self) -> grpc.ChannelConnectivity:
        """Start connecting, if not done yet; answers with the present state."""
        return self.channel.get_state(try_to_connect=True)

    def begin(self) -> None:
        """An attempt starts."""
        self.in_flight += 1
        self.attempts += 1

    def end(self, failed: bool) -> None:
        """An attempt ended, in whatever way."""
        self.in_flight -= 1
        if failed:
            self.failures += 1
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    async def retire(self) -> None:
        """Close once the attempts in flight have ended; to be called when nothing new is sent here any more."""
        self._idle = asyncio.Event()
        if self.in_flight:
            # Bounded: every attempt has a deadline.
            await self._idle.wait()
        await self.close(None)

    async def close(self, grace: float | None) -> None:
        """Close the connection; attempts in flight have `grace` seconds to end."""
        if self._channel is not None:
            await self._channel.close(grace)

    def statistics(self) -> EndpointStatistics:
        """A snapshot of the counts."""
        breaker = self.breaker.statistics()
        return EndpointStatistics(self.address, self.in_flight, self.attempts, self.failures, breaker)

    def __repr__(self) -> str:
        return f"<Endpoint {self.address} {self.breaker.state.name}, {self.in_flight} in flight>"


def dialer(options: MeshOptions, authority: str) -> Callable[[str], grpc.aio.Channel]:
    """What makes an endpoint's channel.

    Args:
        options: TLS, keepalive, limits.
        authority: the name that calls and certificates are about when the address is an IP behind a name, or empty.
    """
    arguments = _arguments(options)
    if authority:
        arguments.append(("grpc.default_authority", authority))

    def dial(address: str) -> grpc.aio.Channel:
        if options.credentials is None:
            return grpc.aio.insecure_channel(address, arguments)
        return grpc.aio.secure_channel(address, options.credentials, arguments)

    return dial


_WINDOW_BYTES: Final = 1024 * 1024


def _arguments(options: MeshOptions) -> list[tuple[str, str | int]]:
    return [
        # Without it two channels to one address share a connection, and one's trouble is the other's.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.initial_reconnect_backoff_ms", _milliseconds(_INITIAL_RECONNECT_BACKOFF)),
        ("grpc.max_reconnect_backoff_ms", _milliseconds(_MAX_RECONNECT_BACKOFF)),
        # C-core's odd name for how long connecting may take.
        ("grpc.min_reconnect_backoff_ms", _milliseconds(options.connect_timeout)),
        ("grpc.keepalive_time_ms", _milliseconds(options.keepalive)),
        ("grpc.keepalive_timeout_ms", _milliseconds(options.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Probing the bandwidth pings with every read, which costs small calls a tenth of their processor time. Inside
        # one network a fixed window does as well, if it holds a whole message.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
