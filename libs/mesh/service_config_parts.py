"""The values that a service config is made of, read from JSON: what cannot be read is a fault, named by its path.

Format: the JSON mapping of Protocol Buffers, as service_config.proto uses it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from libs.core.errors import Code

_DURATION: Final = re.compile(r"\d+(\.\d{1,9})?s", re.ASCII)


def positive_seconds(value: object, path: str, faults: list[str]) -> float | None:
    """A duration above 0, in seconds; None if it is a fault."""
    seconds = _seconds(value)
    if seconds is None or seconds <= 0:
        faults.append(f'{path}: must be a positive duration such as "0.02s"')
        return None
    return seconds


def some_seconds(value: object, path: str, faults: list[str]) -> float | None:
    """A duration of 0 or more, in seconds; None if it is a fault."""
    seconds = _seconds(value)
    if seconds is None:
        faults.append(f'{path}: must be a duration such as "0.02s"')
    return seconds


def whole(value: object, minimum: int, path: str, faults: list[str]) -> int | None:
    """An integer of at least `minimum`; None if it is a fault."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        faults.append(f"{path}: must be an integer of at least {minimum}")
        return None
    return value


def number(value: object, minimum: float, path: str, faults: list[str]) -> float | None:
    """A number of at least `minimum`; None if it is a fault."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= minimum:
        faults.append(f"{path}: must be a number of at least {minimum:g}")
        return None
    return float(value)


def failure_codes(value: object, path: str, faults: list[str]) -> frozenset[Code]:
    """Status codes by name or number, OK not among them."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        faults.append(f"{path}: must be a non-empty list")
        return frozenset()
    codes: set[Code] = set()
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


def objects(value: object, path: str, faults: list[str]) -> list[Mapping[str, object]]:
    """A list of objects."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        faults.append(f"{path}: must be a list")
        return []
    found = [item for item in value if isinstance(item, Mapping)]
    if len(found) < len(value):
        faults.append(f"{path}: must hold objects only")
    return found


def only(entry: Mapping[str, object], known: Sequence[str], prefix: str, faults: list[str]) -> None:
    """Nothing but the keys in `known`."""
    faults.extend(f"{prefix}{key}: is not supported" for key in entry if key not in known)


def required(entry: Mapping[str, object], keys: Sequence[str], path: str, faults: list[str]) -> bool:
    """Whether all of `keys` are there."""
    missing = [f"{path}.{key}: is required" for key in keys if key not in entry]
    faults.extend(missing)
    return not missing


def _seconds(value: object) -> float | None:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return float(value[:-1])
