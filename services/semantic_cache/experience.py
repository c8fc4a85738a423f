"""What every tenant's outcomes have taught: decides by it, and keeps it up to date in the background.

Everything derives from the outcome log, which all replicas share: each reads on from where it was, takes the outcomes
in one by one, and calibrates anew from time to time, in a thread. A tenant that was not heard of for a while is
forgotten and, when it comes back, read from the log again; until then it is treated like a new one, which serves next
to nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from prometheus_client import Counter

from libs.core.clock import Clock
from libs.core.errors import MeshError
from libs.core.rng import Rng
from services.semantic_cache.decision import Candidate, Decision, decide, explain
from services.semantic_cache.entry import Alias
from services.semantic_cache.judging import Considered, Estimate, Judge, Judgement, Sighting, Teacher, Verdict
from services.semantic_cache.learning.calibration import calibrated
from services.semantic_cache.learning.choice import Choice, Kind, LearnerOptions
from services.semantic_cache.learning.features import Row
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.outcome import Outcome, Source, pack_features, unpack, unpack_features
from services.semantic_cache.ports import OutcomeLog
from services.semantic_cache.receipts import Ending, Receipt

_VERDICTS: Final = {Kind.SERVE: Verdict.SERVE, Kind.AUDIT: Verdict.AUDIT, Kind.MISS: Verdict.MISS}
_TAKEN_AT_ONCE: Final = 100
_SOURCES: Final = {
    Ending.MISSED: Source.MISS,
    Ending.AUDITED: Source.AUDIT,
    Ending.SERVED: Source.FEEDBACK,
    Ending.SERVED_EXACT: Source.FEEDBACK,
}


@dataclass(frozen=True, slots=True)
class ExperienceOptions:
    """How much is remembered, and how often it is brought up to date."""

    tenants: int = 1_000
    """Tenants whose learning is held; the least recently asked for go first. Up to about 1.3 MB each."""
    interval: float = 1.0
    """Seconds between two readings of a tenant's log, while it is asked for."""
    learner: LearnerOptions = field(default_factory=LearnerOptions)


class ExperienceStatistics(NamedTuple):
    """A snapshot of what was learned."""

    tenants: int
    outcomes: int
    """Taken in since the start."""
    calibrations: int
    unreadable: int
    """Outcomes of another version, or none."""


@dataclass(slots=True)
class _Tenant:
    learner: Learner
    cursor: str = ""
    asked: bool = False
    """Since its log was last read."""


class Experiences(Judge, Teacher):
    """Every tenant's learner.

    Args:
        log: what turned out, for all replicas.
        executor: calibrates; the owner shuts it down.
        clock: paces the readings.
        rng: draws audits.
        outcomes: counts what turned out, by `outcome` (right, wrong) and `source`.
        options: bounds.
    """

    def __init__(
        self,
        log: OutcomeLog,
        executor: Executor,
        clock: Clock,
        rng: Rng,
        outcomes: Counter,
        options: ExperienceOptions,
    ) -> None:
        self._log: Final = log
        self._executor: Final = executor
        self._clock: Final = clock
        self._rng: Final = rng
        self._counter: Final = outcomes
        self._options: Final = options
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._outcomes = self._calibrations = self._unreadable = 0

    def judge(
        self,
        tenant_id: str,
        question: str,
        sightings: Sequence[Sighting],
        max_wrong_rate: float,
        explain: bool = False,
    ) -> Judgement:
        """Judge candidates; see `decision.decide`."""
        learner = self._of(tenant_id).learner
        candidates = [Candidate(*sighting.neighbour, sighting.question) for sighting in sightings]
        decision = decide(question, candidates, learner, max_wrong_rate)
        return _judgement(decision, candidates, learner, max_wrong_rate, explain)

    def judge_again(self, tenant_id: str, alias: Alias, max_wrong_rate: float) -> Judgement:
        """Judge what was served before, by what has been learned since."""
        seen = _seen(alias.features)
        if seen is None:
            return Judgement(Verdict.MISS, 0, max_wrong_rate=max_wrong_rate)
        row, _ = seen
        choice = self._of(tenant_id).learner.decide(alias.target, alias.group, row, max_wrong_rate)
        return _chosen(0, choice, row, max_wrong_rate)

    def estimate(self, tenant_id: str) -> Estimate:
        """How often the tenant's hits by meaning are wrong."""
        told = self._of(tenant_id).learner.wrong_share()
        return Estimate(told.share, told.low, told.high)

    async def teach(self, tenant_id: str, request_id: str, receipt: Receipt, fresh: bytes | None) -> None:
        """Add an outcome to the log, from which this replica reads it like all others."""
        seen, source = _seen(receipt.features), _SOURCES[receipt.ending]
        if seen is None:
            self._unreadable += 1
            return
        row, p_model = seen
        propensity = receipt.propensity if source is not Source.FEEDBACK else 1.0
        wrong_probability = receipt.wrong_probability
        try:
            outcome = Outcome(
                source,
                self._clock.time(),
                receipt.candidate,
                receipt.group,
                fresh,
                row,
                p_model,
                wrong_probability,
                propensity,
            )
        except ValueError:
            # Receipts travel through callers: what is in them is not to end a replica.
            self._unreadable += 1
            return
        await self._log.append(tenant_id, request_id, outcome.pack())
        self._counter.labels("wrong" if outcome.wrong else "right", source.name.lower()).inc()

    async def run(self) -> None:
        """Read and calibrate until cancelled."""
        while True:
            await self._clock.sleep(self._options.interval)
            await self.refresh()

    async def refresh(self) -> None:
        """Bring every tenant that was asked for up to date; a log that is away is read next time."""
        for tenant_id, tenant in list(self._tenants.items()):
            if not tenant.asked:
                continue
            try:
                packed, tenant.cursor = await self._log.since(tenant_id, tenant.cursor)
            except MeshError:
                continue
            tenant.asked = False
            for start in range(0, len(packed), _TAKEN_AT_ONCE):
                self._take_in(tenant.learner, packed[start : start + _TAKEN_AT_ONCE])
                # Each takes some 25 us, and after a start there are thousands.
                await self._clock.sleep(0)
            if tenant.learner.due():
                await self._calibrate(tenant.learner)

    def statistics(self) -> ExperienceStatistics:
        """What was learned so far."""
        return ExperienceStatistics(len(self._tenants), self._outcomes, self._calibrations, self._unreadable)

    def _take_in(self, learner: Learner, packed: Sequence[bytes]) -> None:
        for each in packed:
            try:
                outcome = unpack(each)
            except ValueError:
                outcome = None
            if outcome is None:
                self._unreadable += 1
            else:
                learner.observe(outcome)
                self._outcomes += 1

    async def _calibrate(self, learner: Learner) -> None:
        loop = asyncio.get_running_loop()
        experience, start = learner.experience(), learner.calibration.model
        learner.install(await loop.run_in_executor(self._executor, calibrated, experience, start))
        self._calibrations += 1

    def _of(self, tenant_id: str) -> _Tenant:
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = self._tenants[tenant_id] = _Tenant(Learner(self._rng, self._options.learner))
            if len(self._tenants) > self._options.tenants:
                self._tenants.popitem(last=False)
        else:
            self._tenants.move_to_end(tenant_id)
        tenant.asked = True
        return tenant

    def __repr__(self) -> str:
        return f"Experiences({self.statistics()})"


def _judgement(
    decision: Decision, candidates: Sequence[Candidate], learner: Learner, max_wrong_rate: float, told: bool
) -> Judgement:
    weighed = decision.weighed
    if weighed is None:
        judgement = Judgement(Verdict.MISS, threshold=learner.threshold(max_wrong_rate), max_wrong_rate=max_wrong_rate)
    else:
        judgement = _chosen(candidates.index(weighed.candidate), weighed.choice, weighed.features, max_wrong_rate)
    return _explained(judgement, decision, len(candidates), learner) if told else judgement


def _chosen(position: int, choice: Choice, row: Row, max_wrong_rate: float) -> Judgement:
    return Judgement(
        _VERDICTS[choice.kind],
        position,
        choice.p_wrong,
        # What is served becomes known only through its user, which is no sample: it never counts as one.
        choice.propensity or 1.0,
        pack_features(row, choice.p_model),
        choice.threshold,
        max_wrong_rate,
    )


def _explained(judgement: Judgement, decision: Decision, candidates: int, learner: Learner) -> Judgement:
    told = explain(decision, candidates, learner, judgement.max_wrong_rate)
    considered = [Considered(similarity, refused_by=guard) for guard, similarity in told.refused]
    if told.similarity is not None:
        considered.append(Considered(told.similarity, "", told.p_wrong, dict(told.features)))
    considered.sort(key=lambda each: -each.similarity)
    return replace(judgement, reason=told.reason, considered=tuple(considered))


def _seen(features: bytes) -> tuple[Row, float] | None:
    """The row, and what the model said of it; None if these bytes are not of this version."""
    try:
        return unpack_features(features)
    except ValueError:
        return None
