"""The files that benchmarks are given: what can be read, and the one line that tells what cannot."""

import argparse
from pathlib import Path

import pytest

from tests.benchmarks.cache_learning import ranges
from tests.benchmarks.cache_learning.labelled import Pair, Prompt, read_pairs, read_prompts

BOTH = [Prompt("where is it", "place"), Prompt("how much", "7")]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("splits.json", '{"train": [["where is it", "place"]], "test": [["how much", 7], ["how much", 8]]}'),
        ("pairs.json", '[["where is it", "place"], ["how much", "7"]]'),
        ("objects.json", '[{"text": "where is it", "label": "place"}, {"text": "how much", "intent": 7}]'),
        ("lines.jsonl", '{"text": "where is it", "label": "place"}\n\n  \n{"text": "how much", "intent": "7"}\n'),
        ("table.csv", 'text,label\nwhere is it,place\n\n"how much",7\n'),
    ],
)
def test_every_form_is_read(tmp_path: Path, name: str, text: str) -> None:
    assert read_prompts(write(tmp_path, name, text)) == BOTH


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"train":\n [["one", "x"],]}', "line 2: expected {split"),
        ("a.json", "", "line 1: expected {split"),
        ("a.json", "7", "expected {split"),
        ("a.json", '{"train": {"one": "x"}}', "of train: expected {split"),
        ("a.json", '{"train": [["one", "x"], ["two"]]}', "row 2 of train: expected [text, label]"),
        ("a.json", '[{"text": "one"}]', "row 1: expected [text, label]"),
        ("a.json", '[["one", ""]]', "row 1: expected [text, label]"),
        ("a.json", '[["one", null]]', "row 1: expected [text, label]"),
        ("a.json", "[]", "no labelled prompts"),
        ("a.jsonl", '{"text": "one", "label": "x"}\n\n{"text": "two"}\n', "line 3: expected an object with"),
        ("a.jsonl", '{"text": "one", "label": "x"}\n{"text"', "line 2: expected JSON"),
        ("a.jsonl", '["one", "x"]', "line 1: expected an object with"),
        ("a.csv", "text,label\none,x\ntwo\n", "line 3: expected text and label"),
        ("a.csv", "text,label\n", "no labelled prompts"),
        ("a.csv", "", "no labelled prompts"),
    ],
)
def test_what_is_wrong_with_prompts_is_told_in_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        read_prompts(write(tmp_path, name, text))
    line = str(ended.value)
    assert name in line
    assert told in line
    assert "\n" not in line


def test_pairs_are_read(tmp_path: Path) -> None:
    lines = '{"text_a": "a", "text_b": "b", "label": 1}\n\n{"text_a": "c", "text_b": "d", "label": "0"}'
    assert read_pairs(write(tmp_path, "p.jsonl", lines)) == [Pair("a", "b", True), Pair("c", "d", False)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no pairs"),
        ('{"text_a": "a", "label": 1}', "line 1: expected an object with"),
        ('{"text_a": "a", "text_b": "b"}', "line 1: expected an object with"),
        ('\n{"text_a": "a", "text_b": "b", "label": "same"}', "line 2: expected an object with"),
        ("[1]", "line 1: expected an object with"),
        ("{", "line 1: expected JSON"),
    ],
)
def test_what_is_wrong_with_pairs_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SystemExit, match=r"p\.jsonl") as ended:
        read_pairs(write(tmp_path, "p.jsonl", text))
    assert told in str(ended.value)
    assert "\n" not in str(ended.value)


def test_no_file_and_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"away\.json: No such file"):
        read_prompts(tmp_path / "away.json")
    (tmp_path / "image.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SystemExit, match=r"image\.jsonl: byte 0 is not UTF-8"):
        read_pairs(tmp_path / "image.jsonl")


@pytest.mark.parametrize("text", ["0", "-0.1", "0.51", "nan", "inf", "much"])
def test_an_alpha_that_bounds_nothing_is_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0 and at most"):
        ranges.alpha(text)


@pytest.mark.parametrize("text", ["1", "0", "-5", "2.5", "many"])
def test_too_few_prompts_are_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="at least 2"):
        ranges.prompts(text)


def test_what_is_in_range_is_taken() -> None:
    assert (ranges.alpha("0.5"), ranges.prompts("2")) == (0.5, 2)
