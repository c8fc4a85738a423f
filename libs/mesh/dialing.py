"""The channel to one endpoint: one connection of its own, with bounded reconnects and keepalive."""

from collections.abc import Callable
from typing import Final

import grpc

from libs.mesh.endpoint import Dial
from libs.mesh.options import MeshOptions

Credentials = Callable[[], grpc.ChannelCredentials | None]
"""The credentials that hold now, None for plaintext."""

_MAX_RECONNECT_BACKOFF: Final = 1.0  # seconds; C-core's default of 120 s outlives every restart of a pod.
_INITIAL_RECONNECT_BACKOFF: Final = 0.1
_WINDOW_BYTES: Final = 1024 * 1024


def dialer(options: MeshOptions, credentials: Credentials, authority: str) -> Dial:
    """What makes an endpoint's channel.

    Args:
        options: keepalive, limits.
        credentials: asked for every time, since certificates are replaced while the process runs.
        authority: the name that calls and certificates are about when the address is an IP behind a name, or empty.
    """
    arguments = _arguments(options)
    if authority:
        arguments.append(("grpc.default_authority", authority))

    def dial(address: str) -> grpc.aio.Channel:
        present = credentials()
        if present is None:
            return grpc.aio.insecure_channel(address, arguments)
        return grpc.aio.secure_channel(address, present, arguments)

    return dial


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
