"""Rate limits per organisation and class of models: requests, input tokens and output tokens per minute."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from libs.core.clock import Clock
from services.model_simulator.buckets import TokenBucket
from services.model_simulator.errors import ApiError

_KEY_PREFIX: Final = "sk-sim-"
_DEFAULT_ORGANISATION: Final = "default"
_MAX_PAIRS: Final = 10_000
_LONGEST_WAIT: Final = 60.0
_OUTPUT: Final = "output-tokens"


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Units per minute; 0 is unlimited."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class RateLimits:
    """The buckets of every organisation and class of models seen; the least recently used pair is forgotten first."""

    __slots__ = ("_buckets", "_clock", "_limits")

    def __init__(self, options: LimitOptions, clock: Clock) -> None:
        limits = {"requests": options.requests, "input-tokens": options.input_tokens, _OUTPUT: options.output_tokens}
        self._limits: Final = {name: limit for name, limit in limits.items() if limit}
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], dict[str, TokenBucket]] = OrderedDict()

    def __repr__(self) -> str:
        return f"RateLimits({self._limits}, pairs={len(self._buckets)})"

    def admit(self, organisation: str, limit_class: str, input_tokens: int) -> Mapping[str, str]:
        """Charge one request and its input, or refuse it and charge nothing.

        Returns:
            The `anthropic-ratelimit-*` headers after the charge; none when there are no limits.

        Raises:
            ApiError: 429 with `retry-after` and the same headers.
        """
        if not self._limits:
            return {}
        buckets = self._of(organisation, limit_class)
        # Output is charged as it is produced; to start, there only has to be some left.
        amounts = {"requests": 1, "input-tokens": input_tokens, _OUTPUT: 1}
        waits = {name: bucket.wait_for(amounts[name]) for name, bucket in buckets.items()}
        name = max(waits, key=waits.__getitem__)
        if waits[name] > 0:
            raise self._refusal(organisation, limit_class, name, waits[name])
        for name, bucket in buckets.items():
            if name != _OUTPUT:
                bucket.take(amounts[name])
        return self._headers(buckets)

    def charge_output(self, organisation: str, limit_class: str, tokens: int) -> None:
        """Charge what a call has produced."""
        if _OUTPUT in self._limits:
            self._of(organisation, limit_class)[_OUTPUT].take(tokens)

    def clear(self) -> None:
        """Fill every bucket."""
        self._buckets.clear()

    def _of(self, organisation: str, limit_class: str) -> dict[str, TokenBucket]:
        key = (organisation, limit_class)
        buckets = self._buckets.get(key)
        if buckets is None:
            buckets = {name: TokenBucket(limit, self._clock) for name, limit in self._limits.items()}
            self._buckets[key] = buckets
            if len(self._buckets) > _MAX_PAIRS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return buckets

    def _headers(self, buckets: Mapping[str, TokenBucket]) -> dict[str, str]:
        now = self._clock.time()
        headers: dict[str, str] = {}
        for name, bucket in buckets.items():
            prefix = f"anthropic-ratelimit-{name}-"
            reset = datetime.fromtimestamp(math.ceil(now + bucket.full_in()), UTC)
            headers[prefix + "limit"] = str(bucket.per_minute)
            headers[prefix + "remaining"] = str(max(0, math.floor(bucket.available())))
            headers[prefix + "reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    def _refusal(self, organisation: str, limit_class: str, name: str, wait: float) -> ApiError:
        headers = self._headers(self._of(organisation, limit_class))
        headers["retry-after"] = str(max(1, math.ceil(min(wait, _LONGEST_WAIT))))
        return ApiError(
            429,
            f"This request would exceed your organization's rate limit of {self._limits[name]} "
            f"{name.replace('-', ' ')} per minute (organization: {organisation}, model: {limit_class}).",
            headers=headers,
        )


def organisation_of(api_key: str) -> str:
    """The organisation behind a key: `acme` for `sk-sim-acme-1`, `default` for a key of any other shape."""
    if not api_key.startswith(_KEY_PREFIX):
        return _DEFAULT_ORGANISATION
    return api_key[len(_KEY_PREFIX) :].partition("-")[0][:64] or _DEFAULT_ORGANISATION
