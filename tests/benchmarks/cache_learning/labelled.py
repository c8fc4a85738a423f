"""Labelled files: questions with the name of their answer, and pairs of questions that do or do not mean the same.

A file that is not what it should be ends the program with one line that names the file, the line and what is expected.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

_OBJECT: Final = 'an object with "text" and "label" (or "intent")'
_ROW: Final = f"[text, label] or {_OBJECT}"
_PROMPTS: Final = "{split: [[text, label], ...]} or a list of [text, label] or of objects"
_PAIR: Final = 'an object with "text_a", "text_b" and "label" (1: they mean the same, else 0)'
_CSV: Final = "text and label in the first two columns"

_Place: TypeAlias = tuple[str, object]
"""Where something stands, as "line 3" or "row 3 of train", and what stands there."""


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

    The file is JSON (`{split: [[text, label], ...]}` or `[[text, label], ...]`; objects with "text" and "label" or
    "intent" may stand for the pairs), JSON Lines (such objects) or CSV (text and label in the first two columns, with a
    heading). Blank lines are skipped.

    Raises:
        SystemExit: it is not such a file, or holds no prompt.
    """
    seen: dict[str, Prompt] = {}
    rows = _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)
    for prompt in rows:
        seen.setdefault(prompt.text, prompt)
    if not seen:
        raise SystemExit(f"{path} holds no labelled prompts")
    return list(seen.values())


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a JSON Lines file with "text_a", "text_b" and "label" (1: they mean the same, else 0).

    Raises:
        SystemExit: it is not such a file, or holds no pair.
    """
    pairs = [_pair(path, place, line) for place, line in _json_lines(path)]
    if not pairs:
        raise SystemExit(f"{path} holds no pairs")
    return pairs


def _csv_rows(path: Path) -> Iterator[Prompt]:
    reader = csv.reader(_read(path).splitlines(keepends=True))
    try:
        next(reader, None)
        for row in reader:
            if not any(row):
                continue
            if len(row) < 2 or not row[0].strip() or not row[1].strip():
                raise _unfit(path, f"line {reader.line_num}", _CSV)
            yield Prompt(row[0], row[1])
    except csv.Error as error:
        raise _unfit(path, f"line {reader.line_num}", f"{_CSV} ({error})") from None


def _json_rows(path: Path) -> Iterator[Prompt]:
    if path.suffix == ".jsonl":
        for place, line in _json_lines(path):
            yield _prompt(path, place, line, _OBJECT)
        return
    content = _parsed(path, _read(path), 1, _PROMPTS)
    splits = content if isinstance(content, dict) else {"": content}
    for split, rows in splits.items():
        within = f" of {split}" if split else ""
        if not isinstance(rows, list):
            raise _unfit(path, f"what is there{within}", _PROMPTS)
        for number, row in enumerate(rows, 1):
            yield _prompt(path, f"row {number}{within}", row, _ROW)


def _json_lines(path: Path) -> Iterator[_Place]:
    # Not splitlines(): it would also split at separators that may stand inside a text.
    for number, line in enumerate(_read(path).split("\n"), 1):
        if line.strip():
            yield f"line {number}", _parsed(path, line, number, "JSON")


def _parsed(path: Path, text: str, first: int, expected: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = first + (error.lineno - 1 if isinstance(error, json.JSONDecodeError) else 0)
        raise _unfit(path, f"line {line}", f"{expected} ({error})") from None
    return parsed


def _prompt(path: Path, place: str, row: object, expected: str) -> Prompt:
    match row:
        case {"text": str(text), "label": str() | int() as label} | {
            "text": str(text),
            "intent": str() | int() as label,
        }:
            pass
        case [str(text), str() | int() as label] if expected == _ROW:
            pass
        case _:
            raise _unfit(path, place, expected)
    if not text.strip() or not str(label).strip():
        raise _unfit(path, place, f"{expected}, neither of them empty")
    return Prompt(text, str(label))


def _pair(path: Path, place: str, line: object) -> Pair:
    if isinstance(line, Mapping):
        one, other, label = line.get("text_a"), line.get("text_b"), str(line.get("label"))
        if isinstance(one, str) and isinstance(other, str) and label in ("0", "1"):
            return Pair(one, other, label == "1")
    raise _unfit(path, place, _PAIR)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}; expected a file with labelled questions") from None
    except UnicodeDecodeError as error:
        raise SystemExit(f"{path}: byte {error.start} is not UTF-8; expected a text file") from None


def _unfit(path: Path, place: str, expected: str) -> SystemExit:
    return SystemExit(f"{path}, {place}: expected {expected}")
