"""A tally as the fields of a Redis hash: short names, since there are thousands of them.

`n e c d s` are a tally's counters, `h<bucket>` its histogram, and `M<letter>:<model>` what one model used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from services.monitoring.tally import ModelTally, Tally


def encode(tally: Tally) -> list[tuple[str, int]]:
    """Fields and amounts; those that are zero are left out."""
    return [(field, amount) for field, amount in _fields(tally) if amount]


def decode(fields: Mapping[bytes, bytes]) -> Tally:
    """The tally that the fields hold; unknown fields, of a newer version, are passed over."""
    tally = Tally()
    for field, value in fields.items():
        _put(tally, field.decode(), int(value))
    return tally


def _fields(tally: Tally) -> Iterator[tuple[str, int]]:
    yield "n", tally.turns
    yield "e", tally.errors
    yield "c", tally.cache_hits
    yield "d", tally.degraded
    yield "s", tally.saved_usd_micros
    for bucket, count in tally.latency.counts.items():
        yield f"h{bucket}", count
    for name, part in tally.models.items():
        yield f"Mn:{name}", part.calls
        yield f"Me:{name}", part.errors
        yield f"M$:{name}", part.cost_usd_micros
        yield f"Mi:{name}", part.tokens.uncached_input
        yield f"Mo:{name}", part.tokens.output
        yield f"Mr:{name}", part.tokens.cache_read
        yield f"Mw:{name}", part.tokens.cache_creation


def _put(tally: Tally, field: str, value: int) -> None:
    match field[0]:
        case "h":
            tally.latency.add_to(int(field[1:]), value)
        case "M":
            _put_model(tally.model(field[3:]), field[1], value)
        case "n":
            tally.turns = value
        case "e":
            tally.errors = value
        case "c":
            tally.cache_hits = value
        case "d":
            tally.degraded = value
        case "s":
            tally.saved_usd_micros = value


def _put_model(part: ModelTally, letter: str, value: int) -> None:
    match letter:
        case "n":
            part.calls = value
        case "e":
            part.errors = value
        case "$":
            part.cost_usd_micros = value
        case "i":
            part.tokens = replace(part.tokens, uncached_input=value)
        case "o":
            part.tokens = replace(part.tokens, output=value)
        case "r":
            part.tokens = replace(part.tokens, cache_read=value)
        case "w":
            part.tokens = replace(part.tokens, cache_creation=value)
