import pytest

from libs.testing.clock import ManualClock
from services.model_simulator.catalogue import limit_class
from services.model_simulator.errors import ApiError
from services.model_simulator.limits import LimitOptions, RateLimits, organisation_of

HAIKU = "claude-haiku-4"


def test_without_limits_there_are_no_headers() -> None:
    assert RateLimits(LimitOptions(), ManualClock()).admit("acme", HAIKU, 10**9) == {}


def test_headers_tell_limit_remaining_and_reset() -> None:
    clock = ManualClock()
    headers = RateLimits(LimitOptions(requests=10, input_tokens=1000), clock).admit("acme", HAIKU, 400)
    assert headers["anthropic-ratelimit-requests-limit"] == "10"
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "600"
    assert headers["anthropic-ratelimit-input-tokens-reset"].endswith("Z")
    assert "anthropic-ratelimit-output-tokens-limit" not in headers


def test_a_refusal_says_when_to_come_back_and_charges_nothing() -> None:
    clock = ManualClock()
    limits = RateLimits(LimitOptions(requests=2, input_tokens=1000), clock)
    limits.admit("acme", HAIKU, 900)
    with pytest.raises(ApiError, match="1000 input tokens per minute") as refusal:
        limits.admit("acme", HAIKU, 200)
    assert (refusal.value.status, refusal.value.headers["retry-after"]) == (429, "6")
    clock.advance(6)
    assert limits.admit("acme", HAIKU, 200)["anthropic-ratelimit-requests-remaining"] == "0"


def test_output_is_charged_afterwards_and_blocks_the_next_call() -> None:
    clock = ManualClock()
    limits = RateLimits(LimitOptions(output_tokens=60), clock)
    limits.admit("acme", HAIKU, 0)
    limits.charge_output("acme", HAIKU, 90)
    with pytest.raises(ApiError, match="output tokens"):
        limits.admit("acme", HAIKU, 0)
    clock.advance(31)
    limits.admit("acme", HAIKU, 0)


def test_organisations_and_model_classes_do_not_share() -> None:
    limits = RateLimits(LimitOptions(requests=1), ManualClock())
    limits.admit("acme", HAIKU, 0)
    limits.admit("acme", "claude-opus-5", 0)
    limits.admit("globex", HAIKU, 0)
    with pytest.raises(ApiError):
        limits.admit("acme", HAIKU, 0)
    limits.clear()
    limits.admit("acme", HAIKU, 0)


@pytest.mark.parametrize(
    ("key", "organisation"),
    [
        ("sk-sim-acme-1", "acme"),
        ("sk-sim-acme-2-b", "acme"),
        ("sk-sim-", "default"),
        ("sk-ant-x", "default"),
        ("x", "default"),
    ],
)
def test_keys_name_their_organisation(key: str, organisation: str) -> None:
    assert organisation_of(key) == organisation


def test_versions_of_a_family_share_a_class() -> None:
    assert limit_class("claude-sonnet-5") == limit_class("claude-sonnet-5-5") == "claude-sonnet-5"
    assert limit_class("claude-sonnet-4-6") == "claude-sonnet-4"
    assert limit_class("other") == "other"
