"""An index against a dictionary, whatever happens to both in whatever order."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.semantic_cache.index.graphs import Step
from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.index.vector_index import VectorIndex
from tests.unit.semantic_cache.index.members import entry, group, small, unit, work

# So few rows that every addition sweeps all of them: the dictionary knows which members have expired and left.
CAPACITY = 16
SHAPE = small(capacity=CAPACITY, graph_from=6, uncovered=2)
NUMBERS = st.integers(0, 24)


@dataclass
class Known:
    vector: Vector
    group: bytes
    expires_at: float


class IndexAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex(SHAPE)
        self.known: dict[bytes, Known] = {}
        self.now = 0.0
        self.step: Step | None = None
        self.ran = False

    @rule(number=NUMBERS, seed=st.integers(0, 5), life=st.sampled_from([1.0, 5.0, 1_000.0]))
    def add(self, number: int, seed: int, life: float) -> None:
        known = Known(unit(100 * number + seed), group(seed), self.now + life)
        self.index.add(Member(entry(number), known.group, known.vector, self.now, known.expires_at), self.now)
        self.known = {name: each for name, each in self.known.items() if each.expires_at > self.now}
        self.known.pop(entry(number), None)
        if len(self.known) == CAPACITY:
            del self.known[next(iter(self.known))]
        self.known[entry(number)] = known

    @rule(number=NUMBERS)
    def remove(self, number: int) -> None:
        assert self.index.remove(entry(number)) == (self.known.pop(entry(number), None) is not None)

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.step is None)
    @rule()
    def begin(self) -> None:
        due = self.index.due
        self.step, self.ran = self.index.next_step(), False
        assert (self.step is not None) == due

    @precondition(lambda self: self.step is not None and not self.ran)
    @rule()
    def run_step(self) -> None:
        assert self.step is not None
        self.step.run()
        self.ran = True

    @precondition(lambda self: self.step is not None)
    @rule()
    def end(self) -> None:
        assert self.step is not None
        if self.ran:
            self.index.finish(self.step)
        else:
            self.index.abandon(self.step)
        self.step = None

    @precondition(lambda self: self.step is None)
    @rule()
    def do_all_there_is(self) -> None:
        work(self.index)
        assert not self.index.due

    @precondition(lambda self: self.step is None)
    @rule(with_graph=st.booleans())
    def start_anew(self, with_graph: bool) -> None:
        contents = self.index.contents()
        kept = contents if with_graph else contents.only(np.ones(len(contents), np.bool_))
        self.index = VectorIndex.holding(SHAPE, kept)

    @invariant()
    def finds_what_the_dictionary_would(self) -> None:
        statistics = self.index.statistics()
        assert len(self.index) == statistics.members == len(self.known)
        living = {name: each for name, each in self.known.items() if each.expires_at > self.now}
        query = unit(7)
        found = self.index.nearest(query, 2 * CAPACITY, self.now)
        assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)
        # A search of so small a graph reaches all of it.
        assert {each.entry for each in found} == living.keys()
        assert len(found) == len(living)
        for each in found:
            known = living[each.entry]
            assert each.group == known.group
            assert each.similarity == pytest.approx(float(known.vector @ query), abs=2e-3)


IndexAgainstDictionary.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=50, stateful_step_count=40
)
test_an_index_agrees_with_a_dictionary = IndexAgainstDictionary.TestCase
