"""gRPC's service config, as far as it concerns a client: how to balance, and of each method when to try again.

Format: service_config.proto in its JSON form; gRFC A6 (retries and hedging), A2 (service configs).
What is not understood is a fault, never ignored; only among load balancing policies the first known one is taken,
as gRPC does.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from libs.core.errors import Code
from libs.mesh.backoff import Backoff
from libs.mesh.faults import refuse
from libs.mesh.picker.policies import PolicyName
from libs.mesh.service_config_parts import (
    failure_codes,
    number,
    objects,
    only,
    positive_seconds,
    required,
    some_seconds,
    whole,
)

P = TypeVar("P")

_MAX_ATTEMPTS: Final = 5  # gRFC A6 caps it there.
_RETRY_KEYS: Final = ("maxAttempts", "initialBackoff", "maxBackoff", "backoffMultiplier", "retryableStatusCodes")
_HEDGING_KEYS: Final = ("maxAttempts", "hedgingDelay", "nonFatalStatusCodes")
_METHOD_KEYS: Final = ("name", "timeout", "waitForReady", "retryPolicy", "hedgingPolicy")
_KEYS: Final = ("methodConfig", "loadBalancingConfig", "retryThrottling")
# gRPC's names of the policies, ours, and what they can be told.
_POLICIES: Final[Mapping[str, tuple[PolicyName, tuple[str, ...]]]] = {
    "round_robin": ("round_robin", ()),
    "least_request_experimental": ("least_request", ("choiceCount",)),
    "ring_hash_experimental": ("ring_hash", ()),
    "peak_ewma": ("peak_ewma", ()),
}

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
        attempt_timeout: seconds that one attempt may take, None for no limit of its own (`perAttemptRecvTimeout`);
            of methods with one request and one response.
    """

    max_attempts: int
    backoff: Backoff
    codes: frozenset[Code]
    attempt_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class HedgingPolicy:
    """When a method is tried a second time before the first has answered.

    Attributes:
        max_attempts: attempts altogether, 2 to 5.
        delay: seconds after an attempt until the next one; 0 sends all at once.
        codes: the failures that do not decide the call while it has attempts left.
    """

    max_attempts: int
    delay: float = 0.0
    codes: frozenset[Code] = frozenset()


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What the config says about a method; None where it says nothing."""

    timeout: float | None = None
    """Seconds that a call may take at most."""
    wait_for_ready: bool | None = None
    retry: RetryPolicy | None = None
    hedging: HedgingPolicy | None = None
    """Never together with `retry`. Only methods with one request and one response are hedged."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """A service config, read.

    Attributes:
        methods: by `/package.Service/Method`, `/package.Service/` or `` (every method).
        policy: how to balance, by our name; None if the config does not say.
    """

    methods: Mapping[str, MethodConfig] = field(default_factory=dict)
    policy: PolicyName | None = None

    def of(self, method: str) -> MethodConfig:
        """The most specific config for `/package.Service/Method`."""
        service = method[: method.rfind("/") + 1]
        return self.methods.get(method) or self.methods.get(service) or self.methods.get("") or _NOTHING


_NOTHING: Final = MethodConfig()


def parse_service_config(config: Mapping[str, object] | str) -> ServiceConfig:
    """Read a service config, given as an object or as JSON text.

    Raises:
        InvalidConfigurationError: naming every fault by its path, such as `methodConfig[0].retryPolicy.maxAttempts`,
            or the line and column where the text stops being JSON.
    """
    faults: list[str] = []
    entries = _object(config, faults)
    only(entries, _KEYS, "", faults)
    if "retryThrottling" in entries:
        faults.append("retryThrottling: is not supported: the channel's budget (BudgetOptions) limits retries")
    methods: dict[str, MethodConfig] = {}
    for index, entry in enumerate(objects(entries.get("methodConfig", ()), "methodConfig", faults)):
        path = f"methodConfig[{index}]"
        parsed = _method(entry, path, faults)
        for name in _names(entry, path, faults):
            if name in methods:
                faults.append(f"{path}.name: {name or 'every method'} is configured twice")
            methods[name] = parsed
    policy = _balancing(entries, faults)
    refuse("service config", faults)
    return ServiceConfig(methods, policy)


def _object(config: Mapping[str, object] | str, faults: list[str]) -> Mapping[str, object]:
    if not isinstance(config, str):
        return config
    try:
        value = json.loads(config)
    except json.JSONDecodeError as error:
        faults.append(f"line {error.lineno} column {error.colno}: is not JSON: {error.msg}")
        return {}
    if not isinstance(value, Mapping):
        faults.append("must be an object")
        return {}
    return value


def _balancing(entries: Mapping[str, object], faults: list[str]) -> PolicyName | None:
    if "loadBalancingConfig" not in entries:
        return None
    before = len(faults)
    for index, entry in enumerate(objects(entries["loadBalancingConfig"], "loadBalancingConfig", faults)):
        path = f"loadBalancingConfig[{index}]"
        if len(entry) != 1:
            faults.append(f"{path}: must have one key, the policy's name")
            continue
        name, settings = next(iter(entry.items()))
        if name in _POLICIES:
            return _policy(name, settings, f"{path}.{name}", faults)
    if len(faults) == before:
        faults.append(f"loadBalancingConfig: names none of {', '.join(_POLICIES)}")
    return None


def _policy(name: str, settings: object, path: str, faults: list[str]) -> PolicyName:
    policy, keys = _POLICIES[name]
    if not isinstance(settings, Mapping):
        faults.append(f"{path}: must be an object")
        return policy
    only(settings, keys, path + ".", faults)
    if settings.get("choiceCount", 2) != 2:
        faults.append(f"{path}.choiceCount: must be 2, the better of two is taken")
    return policy


def _method(entry: Mapping[str, object], path: str, faults: list[str]) -> MethodConfig:
    only(entry, _METHOD_KEYS, path + ".", faults)
    timeout = positive_seconds(entry["timeout"], f"{path}.timeout", faults) if "timeout" in entry else None
    wait = entry.get("waitForReady")
    if wait is not None and not isinstance(wait, bool):
        faults.append(f"{path}.waitForReady: must be true or false")
    retry = _optional(entry, "retryPolicy", _retry, path, faults)
    hedging = _optional(entry, "hedgingPolicy", _hedging, path, faults)
    if "retryPolicy" in entry and "hedgingPolicy" in entry:
        faults.append(f"{path}: retryPolicy and hedgingPolicy exclude each other")
    return MethodConfig(timeout, wait if isinstance(wait, bool) else None, retry, hedging)


def _names(entry: Mapping[str, object], path: str, faults: list[str]) -> list[str]:
    names: list[str] = []
    given = objects(entry.get("name", ()), f"{path}.name", faults)
    if not given:
        faults.append(f"{path}.name: must name at least one service, or be [{{}}] for every method")
    for index, name in enumerate(given):
        here = f"{path}.name[{index}]"
        only(name, ("service", "method"), here + ".", faults)
        service, method = name.get("service", ""), name.get("method", "")
        if not isinstance(service, str) or not isinstance(method, str):
            faults.append(f"{here}: service and method must be strings")
        elif method and not service:
            faults.append(f"{here}: a method needs its service")
        else:
            names.append(f"/{service}/{method}" if service else "")
    return names


def _optional(
    entry: Mapping[str, object],
    key: str,
    read: Callable[[Mapping[str, object], str, list[str]], P | None],
    path: str,
    faults: list[str],
) -> P | None:
    policy = entry.get(key)
    if isinstance(policy, Mapping):
        return read(policy, f"{path}.{key}", faults)
    if policy is not None:
        faults.append(f"{path}.{key}: must be an object")
    return None


def _retry(policy: Mapping[str, object], path: str, faults: list[str]) -> RetryPolicy | None:
    before = len(faults)
    only(policy, (*_RETRY_KEYS, "perAttemptRecvTimeout"), path + ".", faults)
    if not required(policy, _RETRY_KEYS, path, faults):
        return None
    attempts = whole(policy["maxAttempts"], 2, f"{path}.maxAttempts", faults)
    multiplier = number(policy["backoffMultiplier"], 1, f"{path}.backoffMultiplier", faults)
    initial = positive_seconds(policy["initialBackoff"], f"{path}.initialBackoff", faults)
    maximum = positive_seconds(policy["maxBackoff"], f"{path}.maxBackoff", faults)
    if initial is not None and maximum is not None and initial > maximum:
        faults.append(f"{path}.initialBackoff: must not exceed maxBackoff")
    codes = failure_codes(policy["retryableStatusCodes"], f"{path}.retryableStatusCodes", faults)
    limit = policy.get("perAttemptRecvTimeout")
    if limit is not None:
        limit = positive_seconds(limit, f"{path}.perAttemptRecvTimeout", faults)
    if len(faults) > before or attempts is None or multiplier is None or initial is None or maximum is None:
        return None
    return RetryPolicy(min(attempts, _MAX_ATTEMPTS), Backoff(initial, maximum, multiplier), codes, limit)


def _hedging(policy: Mapping[str, object], path: str, faults: list[str]) -> HedgingPolicy | None:
    only(policy, _HEDGING_KEYS, path + ".", faults)
    if not required(policy, ("maxAttempts",), path, faults):
        return None
    attempts = whole(policy["maxAttempts"], 2, f"{path}.maxAttempts", faults)
    delay = some_seconds(policy.get("hedgingDelay", "0s"), f"{path}.hedgingDelay", faults)
    codes: frozenset[Code] = frozenset()
    if policy.get("nonFatalStatusCodes"):
        codes = failure_codes(policy["nonFatalStatusCodes"], f"{path}.nonFatalStatusCodes", faults)
    if attempts is None or delay is None:
        return None
    return HedgingPolicy(min(attempts, _MAX_ATTEMPTS), delay, codes)
