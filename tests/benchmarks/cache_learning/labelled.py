"""Labelled files: questions with the name of their answer, and pairs of questions that do or do not mean the same."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Prompt(NamedTuple):
    """A question whose answer has a name."""

    text: str
    answer: str


class Pair(NamedTuple):
    """Two questions."""

    one: str
    other: str
    same: bool
    """Whether they mean the same."""


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file: all splits together, each text once, in the file's order.

    The file is JSON (`{split: [[text, label], ...]}` or `[[text, label], ...]`), JSON Lines (objects with "text" and
    "label" or "intent") or CSV (text and label in the first two columns, with a heading).
    """
    seen: dict[str, Prompt] = {}
    for text, answer in _rows(path):
        seen.setdefault(text, Prompt(text, answer))
    if not seen:
        raise SystemExit(f"{path} holds no labelled prompts")
    return list(seen.values())


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a JSON Lines file with "text_a", "text_b" and "label" (1: they mean the same)."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    return [Pair(line["text_a"], line["text_b"], int(line["label"]) == 1) for line in lines]


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            yield from ((row[0], row[1]) for row in list(csv.reader(file))[1:])
        elif path.suffix == ".jsonl":
            for line in map(json.loads, file):
                yield line["text"], str(line["label"] if "label" in line else line["intent"])
        else:
            content = json.load(file)
            for rows in content.values() if isinstance(content, dict) else (content,):
                yield from ((text, str(label)) for text, label in rows)
