"""Negation: what may be done is not what may not be done."""

from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.tables import words
from services.semantic_cache.guards.reading import Reading

_NEGATIONS: Final = words(
    """
    not no never none neither nothing nobody nowhere without except excluding besides hardly barely scarcely lacking
    lack lacks unless if_not unneeded non
    nicht kein keine keinen keinem keiner nie niemals ohne pas jamais sans aucun aucune ni nunca sin ningún ninguna
    tampoco mai senza nessun nessuna não sem nenhum nenhuma
    """
)
_KNOWING: Final = words("know understand remember recall see")
_ASKING: Final = words("how what where when who why which if whether whose")


def differ(pair: Contrast) -> bool:
    """Whether one text negates and the other does not.

    Two negations count as none, unless the texts are otherwise about the same: "without not" is seldom "with".
    """
    first, second = _negations(pair.one), _negations(pair.other)
    return first % 2 != second % 2 or (pair.same_content and first != second)


def _negations(reading: Reading) -> int:
    if _NEGATIONS.isdisjoint(reading.bag):
        return 0
    return sum(word in _NEGATIONS and not _only_asks(reading.words, place) for place, word in enumerate(reading.words))


def _only_asks(spoken: tuple[str, ...], place: int) -> bool:
    """Whether this "not" says that the asker does not know: "I don't know how to" negates nothing that is asked."""
    if spoken[max(0, place - 2) : place] not in (("i", "do"), ("we", "do"), ("i", "can")):
        return False
    verb, question = (*spoken[place + 1 : place + 3], "", "")[:2]
    return verb in _KNOWING and question in _ASKING
