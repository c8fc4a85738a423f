from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.model_router.coalescer import Coalescer


def test_the_first_text_is_due_at_once() -> None:
    coalescer = Coalescer(0.025)
    assert coalescer.due_in(5.0) is None
    coalescer.add("a")
    assert coalescer.due_in(5.0) == 0.0
    assert coalescer.take(5.0) == "a"


def test_later_text_waits_for_the_interval_and_is_merged() -> None:
    coalescer = Coalescer(0.5)
    coalescer.add("a")
    coalescer.take(10.0)
    coalescer.add("b")
    coalescer.add("c")
    assert coalescer.due_in(10.25) == 0.25
    assert coalescer.due_in(10.5) == 0.0
    assert coalescer.take(10.5) == "bc"


def test_slow_text_does_not_wait() -> None:
    coalescer = Coalescer(0.5)
    coalescer.add("a")
    coalescer.take(10.0)
    coalescer.add("b")
    assert coalescer.due_in(12.0) == 0.0


@given(
    deltas=st.lists(st.tuples(st.floats(0, 0.1), st.text(max_size=5)), max_size=60),
    interval=st.sampled_from([0.0, 0.025, 1.0]),
)
def test_nothing_is_lost_and_pieces_keep_their_distance(deltas: list[tuple[float, str]], interval: float) -> None:
    coalescer = Coalescer(interval)
    now = 0.0
    sent: list[tuple[float, str]] = []
    for pause, text in deltas:
        now += pause
        coalescer.add(text)
        if coalescer.due_in(now) == 0.0:
            sent.append((now, coalescer.take(now)))
    rest = coalescer.take(now)
    assert "".join(text for _, text in sent) + rest == "".join(text for _, text in deltas)
    assert all(later - earlier >= interval - 1e-9 for (earlier, _), (later, _) in pairwise(sent))
