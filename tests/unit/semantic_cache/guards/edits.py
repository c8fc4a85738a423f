"""Pairs of questions, all of our own making: one small edit apart, or rephrased."""

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


def _pairs(name: str) -> dict[str, list[tuple[str, str]]]:
    """The pairs of a file by the heading above them."""
    found: dict[str, list[tuple[str, str]]] = {}
    pairs = found.setdefault("", [])
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            pairs = found.setdefault(line.strip("[]"), [])
        else:
            one, other = line.split(" | ")
            pairs.append((one, other))
    return found


EDITS: Final = _pairs("edits.txt")
"""Minimal edits: the questions differ in one small thing, and in their answer. By what was edited."""
PARAPHRASES: Final = _pairs("paraphrases.txt")[""]
"""True rephrasings: one answer fits both."""
