"""What stems and meanings have in common, and what they must keep apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.guards.lexicon.stems import misspelt, stem
from services.semantic_cache.guards.lexicon.synonyms import meaning
from services.semantic_cache.guards.lexicon.vocabulary import is_general
from tests.unit.semantic_cache.properties import seeded


@pytest.mark.parametrize(
    "forms",
    [
        "flight flights",
        "box boxes",
        "city cities",
        "cookie cookies",
        "make makes making made",
        "stop stops stopped stopping",
        "cancel cancels cancelled canceled cancelling",
        "plan planned planning",
        "go goes went gone",
        "child children",
        "apply applied applies",
    ],
)
def test_inflections_are_one_word(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize(
    "pair", ["fast fastest", "big bigger", "care careless", "lock unlock", "hat hate", "bus business"]
)
def test_what_changes_a_meaning_stays(pair: str) -> None:
    one, other = pair.split()
    assert stem(one) != stem(other)


@pytest.mark.parametrize("pair", ["expire expiration", "arrive arrival", "buy purchase", "car automobile"])
def test_synonyms_have_one_meaning(pair: str) -> None:
    one, other = pair.split()
    assert meaning(stem(one)) == meaning(stem(other))


@pytest.mark.parametrize("word", ["question", "questions", "arrangement", "slower", "easiest", "creator", "payment"])
def test_it_is_general(word: str) -> None:
    assert is_general(stem(word))


@pytest.mark.parametrize("word", ["boston", "netflix", "python", "giraffe", "lasagna", "measles", "anna", "korean"])
def test_it_may_be_a_name(word: str) -> None:
    assert not is_general(stem(word))


@pytest.mark.parametrize("pair", ["recieve receive", "anwser answer", "accout account", "questtion question"])
def test_a_typing_slip(pair: str) -> None:
    one, other = pair.split()
    assert misspelt(one, other)
    assert misspelt(other, one)


@pytest.mark.parametrize("pair", ["iran iraq", "gambia zambia", "affect effect", "austria australia", "answer answer"])
def test_no_typing_slip(pair: str) -> None:
    one, other = pair.split()
    assert misspelt(one, other) == (one == other)


@given(st.text(alphabet="abcdeilnorstuy", min_size=1, max_size=12))
@seeded
def test_a_stem_begins_like_its_word(word: str) -> None:
    assert stem(word)[:1] == word[:1]
    assert stem(word + "x") == stem(word + "x")
