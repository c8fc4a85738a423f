import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.index.member import Vector
from services.semantic_cache.index.similarity import cosines, greatest, unit
from tests.unit.semantic_cache.properties import seeded


@pytest.mark.parametrize(
    ("vector", "complaint"),
    [
        ([1.0, 0.0], "3 components"),
        ([1.0, 0.0, 0.0, 0.0], "3 components"),
        ([[1.0, 0.0, 0.0]], "3 components"),
        ([1.0, float("nan"), 0.0], "finite"),
        ([1.0, float("inf"), 0.0], "finite"),
        ([0.0, 0.0, 0.0], "length"),
    ],
)
def test_what_is_no_direction_is_refused(vector: list[float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        unit(np.array(vector, np.float32), 3)


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e30])
def test_only_the_direction_counts(length: float) -> None:
    vector: Vector = np.array([3.0, 0.0, 4.0], np.float32) * np.float32(length)
    np.testing.assert_allclose(unit(vector, 3), [0.6, 0.0, 0.8], rtol=1e-6)


def test_cosines_are_right_to_a_ten_thousandth() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((500, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = cosines(vectors[7].astype(np.float16), vectors.astype(np.float16))
    np.testing.assert_allclose(found, vectors @ vectors[7], atol=1e-4)


def test_no_vectors_have_no_cosines() -> None:
    assert len(cosines(np.zeros(3, np.float16), np.zeros((0, 3), np.float16))) == 0


@given(st.lists(st.sampled_from([-np.inf, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), max_size=60), st.integers(0, 70))
@seeded
def test_the_greatest_come_first_and_what_is_struck_out_never(values: list[float], count: int) -> None:
    places = greatest(np.array(values, np.float64), count)
    assert len(set(places)) == len(places)
    expected = sorted((value for value in values if value != -np.inf), reverse=True)[:count]
    assert [values[place] for place in places] == expected
