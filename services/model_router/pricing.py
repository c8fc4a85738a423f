"""What tokens cost."""

from libs.core.money import UsdMicros, cost_usd_micros
from services.model_router.models import Model, PriceBand
from services.model_router.outcome import Usage


def cost(model: Model, usage: Usage) -> UsdMicros:
    """What one call of `model` costs, in micro-dollars, rounded up."""
    band = band_for(model, usage.prompt_tokens)
    return cost_usd_micros(
        (usage.input_tokens, band.input),
        (usage.output_tokens, band.output),
        (usage.cache_read_input_tokens, band.cache_read),
        (usage.cache_creation_input_tokens, band.cache_write),
    )


def band_for(model: Model, prompt_tokens: int) -> PriceBand:
    """The prices that a prompt of this length has, for the whole call: bands do not add up like tax brackets."""
    for band in model.prices:
        if band.up_to_prompt_tokens is None or prompt_tokens <= band.up_to_prompt_tokens:
            return band
    # The catalogue is not accepted without an endless last band.
    raise AssertionError(f"{model.name} has no price for a prompt of {prompt_tokens} tokens")
