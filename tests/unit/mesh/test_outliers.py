import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.core.rng import new_rng
from libs.mesh.outliers import OutlierDetector, OutlierOptions, OutlierRecord
from libs.testing.clock import ManualClock

OPTIONS = OutlierOptions(jitter=0.0)


class Fleet:
    """Endpoints and their detector; a round is one interval of traffic."""

    def __init__(self, endpoints: int, options: OutlierOptions = OPTIONS) -> None:
        self.options = options
        self.clock = ManualClock()
        self.detector = OutlierDetector(options, self.clock, new_rng(1))
        self.records = [OutlierRecord() for _ in range(endpoints)]

    def round(self, *failures: int, attempts: int = 100) -> bool:
        """One interval, in which the first endpoints fail so many times each; ejected ones get no traffic."""
        for record, failed in zip(self.records, (*failures, *[0] * len(self.records)), strict=False):
            if not record.ejected:
                self.serve(record, attempts, failed)
        self.clock.advance(self.options.interval)
        return self.detector.sweep(self.records)

    def serve(self, record: OutlierRecord, attempts: int, failed: int) -> None:
        for _ in range(failed):
            record.failure()
        for _ in range(attempts - failed):
            record.success()

    def ejected(self) -> list[int]:
        return [at for at, record in enumerate(self.records) if record.ejected]

    def seconds(self) -> float:
        return self.records[0].ejected_until - self.clock.monotonic()


def test_ejects_who_does_clearly_worse_and_returns_it() -> None:
    fleet = Fleet(5)
    assert fleet.round(15)
    assert fleet.ejected() == [0]
    assert repr(fleet.records[0]) == "<OutlierRecord 0 of 0 succeeded, ejected until 1040.0, 1 ejections>"
    assert repr(fleet.detector) == "<OutlierDetector 1 ejected, 1 ejections, 0 spared>"
    assert not fleet.round()
    assert not fleet.round()
    assert fleet.round()
    assert fleet.ejected() == []


def test_returns_on_time_between_two_judgements() -> None:
    fleet = Fleet(5, OutlierOptions(base_ejection=12.0, jitter=0.0))
    fleet.round(50)
    fleet.round()
    due = fleet.detector.due_at
    assert due == fleet.records[0].ejected_until
    fleet.clock.advance(due - fleet.clock.monotonic())
    assert fleet.detector.sweep(fleet.records)
    assert fleet.ejected() == []


def test_keeps_still_when_all_do_badly() -> None:
    fleet = Fleet(10)
    assert not fleet.round(*[40] * 10)
    assert fleet.detector.statistics().threshold == pytest.approx(0.55)


def test_a_single_failure_is_no_outlier() -> None:
    assert not Fleet(10).round(1)
    assert Fleet(10, OutlierOptions(margin=0.0)).round(1), "as Envoy does"


def test_few_attempts_and_few_hosts_are_not_judged() -> None:
    assert not Fleet(5).round(99, attempts=99)
    assert not Fleet(4).round(100)


def test_an_idle_endpoint_is_not_judged() -> None:
    fleet = Fleet(6)
    for record in fleet.records[1:]:
        fleet.serve(record, 100, 0)
    fleet.clock.advance(10.0)
    assert not fleet.detector.sweep(fleet.records)


def test_does_not_judge_by_what_is_long_past() -> None:
    fleet = Fleet(5)
    fleet.serve(fleet.records[0], 100, 100)
    for record in fleet.records[1:]:
        fleet.serve(record, 100, 0)
    fleet.clock.advance(600.0)
    assert not fleet.detector.sweep(fleet.records)
    assert all(record.attempts == 0 for record in fleet.records)


def test_the_share_of_ejected_is_capped_and_the_worst_go_first() -> None:
    fleet = Fleet(30)
    fleet.round(50, 60, 49, 55)
    assert fleet.ejected() == [0, 1, 3]
    assert fleet.detector.statistics().spared == 1
    assert not fleet.round(0, 0, 49), "those already ejected count"
    assert fleet.detector.statistics().spared == 2


def test_one_may_always_be_ejected() -> None:
    fleet = Fleet(5, OutlierOptions(max_ejected=0.0))
    assert fleet.round(50)


def test_returns_the_excess_when_endpoints_go_away() -> None:
    fleet = Fleet(20)
    fleet.round(50, 60)
    assert fleet.detector.sweep(fleet.records[:5])
    assert len(fleet.ejected()) == 1


def test_every_ejection_in_a_row_takes_longer_up_to_the_maximum() -> None:
    fleet = Fleet(5, OutlierOptions(interval=10.0, base_ejection=30.0, max_ejection=70.0, jitter=0.0))
    lengths = []
    for _ in range(4):
        fleet.round(50)
        lengths.append(fleet.seconds())
        while fleet.records[0].ejected:
            fleet.round()
    assert lengths == [30.0, 60.0, 70.0, 70.0]


def ejected_twice() -> Fleet:
    fleet = Fleet(5)
    for _ in range(2):
        fleet.round(50)
        while fleet.records[0].ejected:
            fleet.round()
    return fleet


def test_doing_well_shortens_the_next_ejection() -> None:
    fleet = ejected_twice()
    fleet.round()
    fleet.round()
    fleet.round(50)
    assert fleet.seconds() == 30.0
    assert fleet.records[0].ejections == 3


def test_doing_well_for_part_of_an_interval_does_not() -> None:
    fleet = Fleet(5, OutlierOptions(base_ejection=12.0, jitter=0.0))
    fleet.round(50)
    fleet.round()
    fleet.clock.advance(fleet.seconds())
    fleet.detector.sweep(fleet.records)
    fleet.serve(fleet.records[0], 100, 0)
    fleet.clock.advance(8.0)
    fleet.detector.sweep(fleet.records)
    fleet.round(50)
    assert fleet.seconds() == 24.0


def test_an_idle_endpoint_is_not_forgotten() -> None:
    fleet = ejected_twice()
    for _ in range(10):
        fleet.clock.advance(10.0)
        fleet.detector.sweep(fleet.records)
    fleet.round(50)
    assert fleet.seconds() == 90.0


def test_returns_are_spread() -> None:
    fleet = Fleet(20, OutlierOptions(jitter=0.5))
    fleet.round(50, 60)
    first, second = (record.ejected_until - fleet.clock.monotonic() for record in fleet.records[:2])
    assert first != second
    assert all(30.0 <= seconds <= 45.0 for seconds in (first, second))


def test_names_every_fault() -> None:
    with pytest.raises(ValueError, match=r"interval.*minimum_hosts.*jitter"):
        OutlierOptions(interval=0.0, minimum_hosts=1, jitter=-1.0)
    with pytest.raises(ValueError, match="base_ejection"):
        OutlierOptions(base_ejection=30.0, max_ejection=10.0)


class OutlierMachine(RuleBasedStateMachine):
    """However endpoints behave, come and go: the cap holds, and whoever is ejected returns on time."""

    options = OutlierOptions(
        interval=10.0,
        base_ejection=15.0,
        max_ejection=40.0,
        max_ejected=0.3,
        minimum_hosts=3,
        minimum_attempts=5,
        deviations=1.0,
    )

    @initialize(endpoints=st.integers(0, 12))
    def start(self, endpoints: int) -> None:
        self.fleet = Fleet(endpoints, self.options)

    @rule(rates=st.lists(st.integers(0, 10), min_size=12, max_size=12), attempts=st.integers(0, 10))
    def traffic(self, rates: list[int], attempts: int) -> None:
        for record, failed in zip(self.fleet.records, rates, strict=False):
            self.fleet.serve(record, attempts, min(attempts, failed))

    @rule(seconds=st.floats(0.0, 15.0))
    def pass_time(self, seconds: float) -> None:
        """As a balancer would: sweep once `due_at` has come, and not before."""
        self.fleet.clock.advance(seconds)
        self.sweep_if_due()

    @rule(added=st.integers(1, 4))
    def add(self, added: int) -> None:
        self.fleet.records += [OutlierRecord() for _ in range(added)]

    @precondition(lambda self: self.fleet.records)
    @rule(removed=st.integers(1, 4))
    def remove(self, removed: int) -> None:
        del self.fleet.records[:removed]
        self.fleet.detector.sweep(self.fleet.records)

    @rule()
    def everyone_returns(self) -> None:
        self.fleet.clock.advance(self.options.max_ejection * (1 + self.options.jitter))
        self.sweep_if_due()
        assert self.fleet.ejected() == []

    def sweep_if_due(self) -> None:
        fleet = self.fleet
        before = fleet.ejected()
        if fleet.clock.monotonic() >= fleet.detector.due_at:
            changed = fleet.detector.sweep(fleet.records)
            assert changed or fleet.ejected() == before

    @invariant()
    def never_more_than_the_cap(self) -> None:
        ejected = len(self.fleet.ejected())
        assert ejected <= max(1, int(self.options.max_ejected * len(self.fleet.records)))
        assert self.fleet.detector.statistics().ejected == ejected

    @invariant()
    def ejected_while_and_only_while_told(self) -> None:
        now = self.fleet.clock.monotonic()
        for record in self.fleet.records:
            assert record.ejected == (record.ejected_until < float("inf"))
            assert not record.ejected or now < record.ejected_until <= now + 40.0 * 1.1
            assert record.multiplier <= 3


TestOutlierMachine = OutlierMachine.TestCase
TestOutlierMachine.settings = settings(max_examples=60, derandomize=True, deadline=None)
