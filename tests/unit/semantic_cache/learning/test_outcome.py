import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from services.semantic_cache.learning.features import SIZE, VERSION
from services.semantic_cache.learning.outcome import Outcome, Source, pack_features, unpack, unpack_features
from tests.unit.semantic_cache.properties import seeded

SHARES = st.floats(0, 1, width=32)
ROWS = arrays.arrays(np.float32, SIZE, elements=st.floats(-4, 4, width=16))
OUTCOMES = st.builds(
    Outcome,
    source=st.sampled_from(Source),
    at=st.floats(0, 4e9),
    entry=st.binary(min_size=20, max_size=20),
    group=st.binary(min_size=8, max_size=8),
    fresh=st.none() | st.binary(min_size=8, max_size=8).filter(any),
    features=ROWS,
    p_model=SHARES,
    p_wrong=SHARES,
    propensity=st.floats(0.015625, 1, width=32),
)


@given(OUTCOMES)
@seeded
def test_it_comes_back_as_it_was(outcome: Outcome) -> None:
    packed = outcome.pack()
    back = unpack(packed)
    assert back is not None
    assert len(packed) <= 100
    assert np.array_equal(back.features, outcome.features)
    assert (back.source, back.at, back.entry, back.group, back.fresh) == (
        outcome.source,
        outcome.at,
        outcome.entry,
        outcome.group,
        outcome.fresh,
    )
    assert (back.p_model, back.p_wrong, back.propensity) == (outcome.p_model, outcome.p_wrong, outcome.propensity)


@given(OUTCOMES, st.data())
@seeded
def test_half_an_outcome_is_never_taken_for_one(outcome: Outcome, data: st.DataObject) -> None:
    packed = outcome.pack()
    half = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with suppress(ValueError):
        assert unpack(half) is None


@pytest.mark.parametrize("packed", [b"", bytes(10), bytes(40)])
def test_what_is_too_short_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="at least"):
        unpack(packed)


@given(ROWS, SHARES)
@seeded
def test_what_the_model_saw_travels_with_a_receipt(row: np.ndarray, p_model: float) -> None:
    seen = unpack_features(pack_features(row, p_model))
    assert seen is not None
    assert np.array_equal(seen[0], row)
    assert seen[1] == p_model


def test_another_versions_features_are_not_understood() -> None:
    packed = pack_features(np.zeros(SIZE, np.float32), 0.5)
    assert unpack_features(bytes((VERSION + 1,)) + packed[1:]) is None
    assert unpack_features(b"") is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"propensity": 0.0}, "propensity"),
        ({"propensity": math.nan}, "propensity"),
        ({"p_wrong": 1.5}, "p_wrong"),
        ({"p_model": math.nan}, "p_model"),
        ({"at": math.inf}, "at"),
        ({"features": np.full(SIZE, np.nan, np.float32)}, "features"),
        ({"features": np.zeros(SIZE - 1, np.float32)}, "features"),
    ],
)
def test_nonsense_is_named(changed: dict[str, float], message: str) -> None:
    sound: dict[str, object] = {
        "source": Source.MISS,
        "at": 0.0,
        "entry": bytes(20),
        "group": bytes(8),
        "fresh": None,
        "features": np.zeros(SIZE, np.float32),
        "p_model": 0.5,
        "p_wrong": 0.5,
        "propensity": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        Outcome(**{**sound, **changed})  # type: ignore[arg-type]  # the point is to pass what does not belong
