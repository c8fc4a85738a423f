"""The command's own reading and writing."""

import pytest
import typer

from libs.cli.main import _failure, _replicas, _tier
from libs.cli.stack.process import StartError


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", {}),
        ("conversation=2", {"conversation": 2}),
        ("conversation=2,memory=3", {"conversation": 2, "memory": 3}),
        (" model-router = 4 ,", {"model_router": 4}),
        ("memory=0", {"memory": 0}),
    ],
)
def test_replicas_are_read_by_service(text: str, counts: dict[str, int]) -> None:
    assert _replicas(text) == counts


@pytest.mark.parametrize("text", ["memory", "memory=", "memory=two", "memory=-1", "memory=1.5", "=", "=2", "memory=²"])
def test_other_replicas_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text!r} is not of the form service=number"):
        _replicas(text)


def test_a_service_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="memory is given twice"):
        _replicas("memory=1,memory=2")


def test_a_tier_is_one_of_three() -> None:
    assert _tier("deep") == "deep"
    with pytest.raises(typer.BadParameter):
        _tier("huge")


def test_a_failure_is_one_red_line_and_the_log_as_it_is() -> None:
    printed = _failure(StartError("auth-0 ended while starting:\nlog [/info] line\n"))

    assert printed.plain == "auth-0 ended while starting:\nlog [/info] line"
    assert [(span.start, span.end, span.style) for span in printed.spans] == [(0, 28, "red")]


def test_a_failure_without_a_log_is_one_line() -> None:
    assert _failure(StartError("no free port")).plain == "no free port"
