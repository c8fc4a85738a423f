"""Faults on order: what goes wrong, how often, for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.core.rng import Rng
from services.model_simulator.errors import ERROR_TYPES, bad_request

MAX_FAULTS: Final = 100
_MAX_SECONDS: Final = 3600.0


class FaultKind(StrEnum):
    """What a fault does to a call."""

    STATUS = "status"
    """Answer with the HTTP status `status`; `seconds`, if given, becomes retry-after."""
    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - a kind of fault
    """Wait `seconds` more before the first token."""
    CUT_STREAM = "cut_stream"
    """Close the connection after `after_tokens` tokens."""
    ERROR_IN_STREAM = "error_in_stream"
    """After `after_tokens` tokens send an `error` event of the type that goes with `status`."""
    HANG = "hang"
    """Say nothing for `seconds`, then 504."""
    MALFORMED = "malformed"
    """Answer 200 with JSON that breaks off, after `after_tokens` tokens of a stream."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One order."""

    kind: FaultKind
    status: int = 529
    error_code: str = ""
    """`error.details.error_code` of a `status` fault, such as `enforced_spend_limit_reached`."""
    after_tokens: int = 5
    seconds: float = 0.0
    probability: float = 1.0
    count: int | None = None
    """How many calls it hits before it is over; None for no end."""
    model: str = ""
    """The model it is for; empty for all."""


@dataclass(slots=True)
class _Order:
    fault: Fault
    fired: int = 0

    @property
    def over(self) -> bool:
        return self.fault.count is not None and self.fired >= self.fault.count


class Faults:
    """The orders in force, oldest first; a call suffers the first one that chooses it."""

    __slots__ = ("_orders", "_rng")

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._orders: list[_Order] = []

    def __repr__(self) -> str:
        return f"Faults({', '.join(order.fault.kind for order in self._orders)})"

    def add(self, fault: Fault) -> None:
        """Put an order in force; 400 when there are `MAX_FAULTS` already."""
        if len(self._orders) >= MAX_FAULTS:
            raise bad_request(f"there are {MAX_FAULTS} faults in force already; DELETE /admin/faults removes them")
        self._orders.append(_Order(fault))

    def pick(self, model: str) -> Fault | None:
        """The fault that the next call of `model` suffers, which counts as fired."""
        for order in self._orders:
            fault = order.fault
            if fault.model and fault.model != model:
                continue
            if fault.probability < 1.0 and self._rng.random() >= fault.probability:
                continue
            order.fired += 1
            if order.over:
                self._orders.remove(order)
            return fault
        return None

    def clear(self) -> int:
        """Withdraw all orders; returns how many there were."""
        count = len(self._orders)
        self._orders.clear()
        return count

    def snapshot(self) -> list[dict[str, object]]:
        """The orders in force, with how often each has fired."""
        return [{**describe(order.fault), "fired": order.fired} for order in self._orders]


def describe(fault: Fault) -> dict[str, object]:
    """The fault as the admin endpoints show it."""
    return {
        "kind": fault.kind.value,
        "status": fault.status,
        "error_code": fault.error_code,
        "after_tokens": fault.after_tokens,
        "seconds": fault.seconds,
        "probability": fault.probability,
        "count": fault.count,
        "model": fault.model,
    }


def parse_fault(fields: Mapping[str, object]) -> Fault:
    """The fault a POST /admin/faults describes; 400 naming the field that is wrong."""
    known = Fault.__slots__
    for name in fields:
        if name not in known:
            raise bad_request(f"{name[:100]}: unknown field; known are {', '.join(known)}")
    kind = _kind(fields.get("kind"))
    status = int(_number(fields, "status", 529, 400, 599, whole=True))
    if status not in ERROR_TYPES:
        raise bad_request(f"status: must be one of {', '.join(map(str, ERROR_TYPES))}")
    return Fault(
        kind=kind,
        status=status,
        error_code=_text(fields, "error_code"),
        after_tokens=int(_number(fields, "after_tokens", 5, 0, 1_000_000, whole=True)),
        seconds=_number(fields, "seconds", _default_seconds(kind), 0, _MAX_SECONDS),
        probability=_number(fields, "probability", 1.0, 0, 1),
        count=None if fields.get("count") is None else int(_number(fields, "count", 1, 1, 1_000_000_000, whole=True)),
        model=_text(fields, "model"),
    )


def _kind(value: object) -> FaultKind:
    kinds = {kind.value: kind for kind in FaultKind}
    if not isinstance(value, str) or value not in kinds:
        raise bad_request(f"kind: must be one of {', '.join(kinds)}")
    return kinds[value]


def _default_seconds(kind: FaultKind) -> float:
    return {FaultKind.SLOW_FIRST_TOKEN: 5.0, FaultKind.HANG: 600.0}.get(kind, 0.0)


def _number(
    fields: Mapping[str, object], name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    value = fields.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or (whole and value != int(value)):
        raise bad_request(f"{name}: must be {'an integer' if whole else 'a number'}")
    if not low <= value <= high:
        raise bad_request(f"{name}: must be between {low} and {high}")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > 200:
        raise bad_request(f"{name}: must be a string of at most 200 characters")
    return value
