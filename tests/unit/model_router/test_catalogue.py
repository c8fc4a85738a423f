from pathlib import Path

import pytest
from pydantic import ValidationError

from services.model_router.catalogue import CatalogueError, load, parse
from services.model_router.prompt import Tier
from services.model_router.settings import RouterSettings

MODEL = """
[[models]]
model = "one"
provider = "anthropic"
context_tokens = 1000
max_output_tokens = 100
prices = [{ input = 1, output = 2, cache_read = 0, cache_write = 3 }]
"""
TIERS = """
[tiers.fast]
models = ["one"]
[tiers.balanced]
models = ["one"]
[tiers.deep]
models = ["one"]
fallback = ["balanced"]
"""


def faults(text: str) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        parse(text)
    return list(caught.value.faults)


def test_a_small_catalogue() -> None:
    catalogue = parse(MODEL + TIERS)
    assert catalogue.tiers[Tier.DEEP].fallback == (Tier.BALANCED,)
    assert catalogue.tiers_of("one") == (Tier.FAST, Tier.BALANCED, Tier.DEEP)
    assert catalogue.models["one"].prices[0].output == 2


def test_the_catalogue_that_comes_with_the_service() -> None:
    catalogue = load(None)
    assert set(catalogue.tiers) == set(Tier)
    haiku = catalogue.models["claude-haiku-5-5"]
    assert [band.up_to_prompt_tokens for band in haiku.prices] == [100_000, None]
    for model in catalogue.models.values():
        for band in model.prices:
            # Anthropic's rule for the five-minute cache; the file spells it out, so a slip would go unnoticed.
            assert band.cache_write * 4 == band.input * 5


def test_every_fault_is_named_at_once() -> None:
    text = """
surprise = 1
[[models]]
model = "one"
provider = "acme"
context_tokens = 10
max_output_tokens = 100
temperature = "yes"
prices = [{ input = 1, output = -2, cache_read = 0, cache_write = 3 }, { input = 1, output = 1, cache_read = 1 }]
[tiers.fast]
models = ["two"]
[tiers.balanced]
models = []
fallback = ["slow"]
"""
    assert faults(text) == [
        "surprise: unknown field",
        "models[0].provider: must be one of anthropic",
        "models[0].prices[0].up_to_prompt_tokens: must be a whole number of at least 1",
        "models[0].prices[0].output: must be a whole number of at least 0",
        "models[0].prices[1].cache_write: must be a whole number of at least 0",
        "models[0].temperature: must be true or false",
        "models[0].max_output_tokens: must not be above context_tokens",
        "tiers.fast.models: two is not among the models",
        "tiers.balanced.models: at least one is needed",
        "tiers.balanced.fallback: slow is not one of fast, balanced, deep",
        "tiers.deep: must be a table",
        "tiers.deep.models: at least one is needed",
    ]


def test_bands_must_rise_and_the_last_must_be_endless() -> None:
    bands = """prices = [
  { up_to_prompt_tokens = 10, input = 1, output = 1, cache_read = 1, cache_write = 1 },
  { up_to_prompt_tokens = 10, input = 1, output = 1, cache_read = 1, cache_write = 1 },
  { up_to_prompt_tokens = 20, input = 1, output = 1, cache_read = 1, cache_write = 1 },
]"""
    text = MODEL.replace("prices = [{ input = 1, output = 2, cache_read = 0, cache_write = 3 }]", bands) + TIERS
    assert [fault.split(": ")[0] for fault in faults(text)] == [
        "models[0].prices[1].up_to_prompt_tokens",
        "models[0].prices[2].up_to_prompt_tokens",
    ]


def test_a_model_may_not_stand_there_twice() -> None:
    assert faults(MODEL + MODEL + TIERS) == ["models[1].model: one stands there twice"]


@pytest.mark.parametrize("text", ["", "models = 3", "models = []", "not toml"])
def test_nonsense_is_refused(text: str) -> None:
    assert faults(text)


def test_a_faulty_catalogue_keeps_the_service_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(MODEL)
    with pytest.raises(ValidationError, match="tiers: must be a table"):
        RouterSettings.model_validate({"anthropic_api_key": "k", "catalogue_path": path})
    with pytest.raises(ValidationError, match="No such file"):
        RouterSettings.model_validate({"anthropic_api_key": "k", "catalogue_path": tmp_path / "none.toml"})


def test_the_provider_s_key_and_auth_are_required() -> None:
    with pytest.raises(ValidationError) as caught:
        RouterSettings.model_validate({})
    assert [fault["loc"] for fault in caught.value.errors()] == [("auth_target",), ("anthropic_api_key",)]
