"""gRPC's service config in its JSON form, as far as it concerns a client: `methodConfig` with `retryPolicy`.

Format: grpc/service_config/service_config.proto and gRFC A6. What is not understood is a fault, never ignored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.core.errors import Code
from libs.mesh.backoff import Backoff
from libs.mesh.faults import refuse

_DURATION: Final = re.compile(r"\d+(\.\d{1,9})?s", re.ASCII)
_MAX_ATTEMPTS: Final = 5  # gRFC A6 caps it there.
_RETRY_KEYS: Final = (
    "maxAttempts",
    "initialBackoff",
    "maxBackoff",
    "backoffMultiplier",
    "retryableStatusCodes",
)
_METHOD_KEYS: Final = ("name", "timeout", "waitForReady", "retryPolicy")

# Retries are ours alone and mutations carry a request_id, so UNAVAILABLE is safe to retry for every method.
DEFAULT_SERVICE_CONFIG: Final[Mapping[str, object]] = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.02s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a method is tried again.

    Attributes:
        max_attempts: tries altogether, 2 to 5.
        backoff: seconds before each retry.
        codes: the codes that are worth a retry.
    """

    max_attempts: int
    backoff: Backoff
    codes: frozenset[Code]


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What the config says about a method; None where it says nothing."""

    timeout: float | None = None
    """Seconds that a call may take at most."""
    wait_for_ready: bool | None = None
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Method configs by `/package.Service/Method`, `/package.Service/` or `` (every method)."""

    methods: Mapping[str, MethodConfig] = field(default_factory=dict)

    def of(self, method: str) -> MethodConfig:
        """The most specific config for `/package.Service/Method`."""
        service = method[: method.rfind("/") + 1]
        return self.methods.get(method) or self.methods.get(service) or self.methods.get("") or _NOTHING


_NOTHING: Final = MethodConfig()


def parse_service_config(config: Mapping[str, object]) -> ServiceConfig:
    """Read a service config.

    Raises:
        InvalidConfigurationError: naming every fault by its path, such as `methodConfig[0].retryPolicy.maxAttempts`.
    """
    faults: list[str] = []
    _unknown(config, ("methodConfig",), "", faults)
    methods: dict[str, MethodConfig] = {}
    for index, entry in enumerate(_objects(config.get("methodConfig", ()), "methodConfig", faults)):
        path = f"methodConfig[{index}]"
        parsed = _method(entry, path, faults)
        for name in _names(entry, path, faults):
            if name in methods:
                faults.append(f"{path}.name: {name or 'every method'} is configured twice")
            methods[name] = parsed
    refuse("service config", faults)
    return ServiceConfig(methods)


def _method(entry: Mapping[str, object], path: str, faults: list[str]) -> MethodConfig:
    _unknown(entry, _METHOD_KEYS, path + ".", faults)
    timeout = _seconds(entry["timeout"], f"{path}.timeout", faults) if "timeout" in entry else None
    wait = entry.get("waitForReady")
    if wait is not None and not isinstance(wait, bool):
        faults.append(f"{path}.waitForReady: must be true or false")
    policy = entry.get("retryPolicy")
    retry = None
    if isinstance(policy, Mapping):
        retry = _retry(policy, f"{path}.retryPolicy", faults)
    elif policy is not None:
        faults.append(f"{path}.retryPolicy: must be an object")
    return MethodConfig(timeout, wait if isinstance(wait, bool) else None, retry)


def _names(entry: Mapping[str, object], path: str, faults: list[str]) -> list[str]:
    names: list[str] = []
    given = _objects(entry.get("name", ()), f"{path}.name", faults)
    if not given:
        faults.append(f"{path}.name: must name at least one service, or be [{{}}] for every method")
    for index, name in enumerate(given):
        here = f"{path}.name[{index}]"
        _unknown(name, ("service", "method"), here + ".", faults)
        service, method = name.get("service", ""), name.get("method", "")
        if not isinstance(service, str) or not isinstance(method, str):
            faults.append(f"{here}: service and method must be strings")
        elif method and not service:
            faults.append(f"{here}: a method needs its service")
        else:
            names.append(f"/{service}/{method}" if service else "")
    return names


def _retry(policy: Mapping[str, object], path: str, faults: list[str]) -> RetryPolicy | None:
    before = len(faults)
    _unknown(policy, _RETRY_KEYS, path + ".", faults)
    faults.extend(f"{path}.{key}: is required" for key in _RETRY_KEYS if key not in policy)
    if len(faults) > before:
        return None
    attempts, multiplier = policy["maxAttempts"], policy["backoffMultiplier"]
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 2:
        faults.append(f"{path}.maxAttempts: must be an integer of at least 2")
        attempts = 2
    if not isinstance(multiplier, int | float) or isinstance(multiplier, bool) or multiplier < 1:
        faults.append(f"{path}.backoffMultiplier: must be a number of at least 1")
        multiplier = 1
    initial = _seconds(policy["initialBackoff"], f"{path}.initialBackoff", faults)
    maximum = _seconds(policy["maxBackoff"], f"{path}.maxBackoff", faults)
    if initial is not None and maximum is not None and initial > maximum:
        faults.append(f"{path}.initialBackoff: must not exceed maxBackoff")
    codes = _codes(policy["retryableStatusCodes"], f"{path}.retryableStatusCodes", faults)
    if len(faults) > before or initial is None or maximum is None:
        return None
    return RetryPolicy(min(attempts, _MAX_ATTEMPTS), Backoff(initial, maximum, float(multiplier)), codes)


def _codes(value: object, path: str, faults: list[str]) -> frozenset[Code]:
    codes: set[Code] = set()
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        faults.append(f"{path}: must be a non-empty list")
        return frozenset()
    for item in value:
        if isinstance(item, str) and item in Code.__members__:
            codes.add(Code[item])
        elif isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= max(Code):
            codes.add(Code(item))
        else:
            faults.append(f"{path}: {item!r} is not a status code")
    if Code.OK in codes:
        faults.append(f"{path}: OK is not a failure")
    return frozenset(codes)


def _seconds(value: object, path: str, faults: list[str]) -> float | None:
    if not isinstance(value, str) or not _DURATION.fullmatch(value) or float(value[:-1]) <= 0:
        faults.append(f'{path}: must be a positive duration such as "0.02s"')
        return None
    return float(value[:-1])


def _objects(value: object, path: str, faults: list[str]) -> list[Mapping[str, object]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        faults.append(f"{path}: must be a list")
        return []
    objects = [item for item in value if isinstance(item, Mapping)]
    if len(objects) < len(value):
        faults.append(f"{path}: must hold objects only")
    return objects


def _unknown(entry: Mapping[str, object], known: Sequence[str], prefix: str, faults: list[str]) -> None:
    faults.extend(f"{prefix}{key}: is not supported" for key in entry if key not in known)
