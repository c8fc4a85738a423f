import pytest

from libs.core.errors import MeshError, Reason
from services.model_router.models import Catalogue, TierRule
from services.model_router.prompt import GenerationRequest, Tier
from services.model_router.routing import Router, RoutingPolicy
from tests.unit.model_router.builders import ask, catalogue, model

CATALOGUE = catalogue(
    model("small", context=1000, output=500),
    model("middle", context=5000),
    model("large", temperature=True),
    fast=TierRule(("small",), (Tier.BALANCED,)),
    balanced=TierRule(("middle", "small"), (Tier.FAST, Tier.DEEP)),
    deep=TierRule(("large",), ()),
)


def names(request: GenerationRequest, models: Catalogue = CATALOGUE, **policy: int) -> list[str]:
    router = Router(models, RoutingPolicy(**policy))  # type: ignore[arg-type]  # integers, as max_tries is
    return [candidate.model.name for candidate in router.candidates(request)]


def test_a_tier_gives_its_models_then_those_of_its_fallback_tiers_each_once() -> None:
    assert names(ask(tier=Tier.FAST)) == ["small", "middle"]
    assert names(ask(tier=Tier.BALANCED)) == ["middle", "small", "large"]
    assert names(ask(tier=Tier.DEEP)) == ["large"]


def test_without_a_tier_the_default_one_is_used() -> None:
    assert names(ask()) == names(ask(tier=Tier.BALANCED))


def test_a_model_the_caller_insists_on_has_no_fallback() -> None:
    assert names(ask(model="small", tier=Tier.DEEP)) == ["small"]


def test_an_unknown_model_is_refused_by_name_of_the_field() -> None:
    with pytest.raises(MeshError) as caught:
        names(ask(model="gpt"))
    assert caught.value.reason is Reason.UNKNOWN_MODEL
    assert [violation.field for violation in caught.value.violations] == ["model"]


def test_models_whose_context_is_too_short_are_left_out() -> None:
    assert names(ask("x" * 4000, tier=Tier.FAST)) == ["middle"]


def test_a_prompt_too_long_for_all_is_refused_with_the_count() -> None:
    with pytest.raises(MeshError, match=r"about 5\d\d\d tokens.* is 5000") as caught:
        names(ask("x" * 18_000, tier=Tier.FAST))
    assert caught.value.reason is Reason.CONTEXT_TOO_LONG


def test_tries_are_bounded() -> None:
    assert names(ask(tier=Tier.BALANCED), max_tries=2) == ["middle", "small"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(0, 300), (100, 100), (60_000, 500)],
    ids=["default", "as asked", "at most what the model can write"],
)
def test_max_tokens(asked: int, expected: int) -> None:
    router = Router(CATALOGUE, RoutingPolicy(default_max_tokens=300))
    assert router.candidates(ask(model="small", max_tokens=asked))[0].max_tokens == expected


def test_max_tokens_leaves_room_for_the_prompt() -> None:
    candidate = Router(CATALOGUE, RoutingPolicy()).candidates(ask("x" * 2800, model="small", max_tokens=400))[0]
    assert candidate.max_tokens < 200


def test_a_tier_drops_a_temperature_that_its_models_do_not_take() -> None:
    candidates = Router(CATALOGUE, RoutingPolicy()).candidates(ask(tier=Tier.BALANCED, temperature=0.5))
    assert [candidate.temperature for candidate in candidates] == [None, None, 0.5]


def test_a_named_model_that_takes_no_temperature_refuses_one() -> None:
    router = Router(CATALOGUE, RoutingPolicy())
    assert router.candidates(ask(model="large", temperature=0.0))[0].temperature == 0.0
    with pytest.raises(MeshError) as caught:
        router.candidates(ask(model="small", temperature=0.0))
    assert [violation.field for violation in caught.value.violations] == ["temperature"]
