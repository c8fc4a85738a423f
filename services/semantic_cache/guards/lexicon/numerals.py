"""Numbers written as words."""

from collections.abc import Mapping
from typing import Final

from services.semantic_cache.guards.lexicon.tables import in_order, translated

_SMALL: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
"""
_ORDINALS: Final = """
zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
fifteenth sixteenth seventeenth eighteenth nineteenth
"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENTHS: Final = "twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"
# Left out are words that are something else in English: "cent", "due", "dos".
_OTHERS: Final = """
twice=2, thrice=3, half=0.5, dozen=12, nil=0, couple=2
zwei=2, drei=3, vier=4, fünf=5, sechs=6, sieben=7, acht=8, neun=9, zehn=10, elf=11, zwölf=12, zwanzig=20, hundert=100
tausend=1000, deux=2, trois=3, quatre=4, cinq=5, sept=7, huit=8, neuf=9, dix=10, onze=11, douze=12, vingt=20, mille=1000
tres=3, cuatro=4, cinco=5, seis=6, siete=7, ocho=8, nueve=9, diez=10, doce=12, veinte=20, cien=100, mil=1000
tre=3, quattro=4, cinque=5, sette=7, otto=8, nove=9, dieci=10, venti=20, cento=100
dois=2, duas=2, três=3, quatro=4, sete=7, oito=8, dez=10, vinte=20
"""

BELOW_HUNDRED: Final[Mapping[str, int]] = (
    {word: value for value, word in enumerate(in_order(_SMALL))}
    | {word: value for value, word in enumerate(in_order(_ORDINALS)) if value > 1}
    | {word: 10 * value for tens in (_TENS, _TENTHS) for value, word in enumerate(in_order(tens), start=2)}
)
"""English cardinals and ordinals; "first" is no number but an opposite of "last"."""
MULTIPLES: Final[Mapping[str, int]] = {
    "hundred": 100,
    "thousand": 1000,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
"""What multiplies the number before it."""
FIXED: Final[Mapping[str, str]] = translated(_OTHERS)
"""Words that are a number by themselves, to its digits."""
NUMERALS: Final = frozenset((*BELOW_HUNDRED, *MULTIPLES, *FIXED)) - {"one"}
"""All of them. "One" is missing: mostly it stands for a noun."""
