"""A batch of events becomes a few sums: per scope and slice, so that a thousand events cost one write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.monitoring.events import Event
from services.monitoring.slices import COARSE, FINE, TIERS, Slice, slice_of
from services.monitoring.tally import Tally

EVERYONE: Final = "all"
"""The scope that sums up all tenants; no tenant may be called so."""


@dataclass(frozen=True, slots=True)
class ScopeBatch:
    """What a batch adds to one scope: a tenant, or `EVERYONE`."""

    scope: str
    event_count: int
    tallies: Mapping[Slice, Tally]


def aggregate(events: Iterable[Event], now: float) -> list[ScopeBatch]:
    """Sum the events up, the tenants in order of their names and `EVERYONE` last.

    An event from the future (clocks differ) counts as of `now`; one that is older than every slice is left out.
    """
    oldest = now - COARSE.retention
    fine: dict[str, dict[Slice, Tally]] = {}
    counts: dict[str, int] = {}
    for event in events:
        if event.ended_at < oldest:
            continue
        counts[event.tenant_id] = counts.get(event.tenant_id, 0) + 1
        part = slice_of(FINE, min(event.ended_at, now))
        fine.setdefault(event.tenant_id, {}).setdefault(part, Tally()).add(event)
    if not fine:
        return []
    batches = [ScopeBatch(tenant, counts[tenant], _all_tiers([fine[tenant]], now)) for tenant in sorted(fine)]
    return [*batches, ScopeBatch(EVERYONE, sum(counts.values()), _all_tiers(fine.values(), now))]


def _all_tiers(parts: Iterable[Mapping[Slice, Tally]], now: float) -> dict[Slice, Tally]:
    # Wider slices are sums of fine ones: each event is looked at once, however many tiers and scopes there are.
    sums: dict[Slice, Tally] = {}
    for tallies in parts:
        for fine, tally in tallies.items():
            for tier in TIERS:
                part = slice_of(tier, fine.start)
                if part.expires_at > now:
                    sums.setdefault(part, Tally()).merge(tally)
    return sums
