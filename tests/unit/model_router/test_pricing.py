from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.model_router.catalogue import load
from services.model_router.models import Model
from services.model_router.outcome import Usage
from services.model_router.pricing import cost

MODELS = load(None).models
TOKENS = st.integers(0, 400_000)
USAGES = st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS)


def exact(model: Model, usage: Usage) -> Fraction:
    """Micro-dollars by the price list, without rounding."""
    long_prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens > 100_000
    band = model.prices[-1] if long_prompt else model.prices[0]
    total = (
        usage.input_tokens * band.input
        + usage.output_tokens * band.output
        + usage.cache_read_input_tokens * band.cache_read
        + usage.cache_creation_input_tokens * band.cache_write
    )
    return Fraction(total, 1_000_000)


@given(name=st.sampled_from(sorted(MODELS)), usage=USAGES)
def test_a_cost_is_the_price_list_s_rounded_up_to_the_micro_dollar(name: str, usage: Usage) -> None:
    model = MODELS[name]
    assert 0 <= cost(model, usage) - exact(model, usage) < 1


@given(name=st.sampled_from(sorted(MODELS)), usage=USAGES, more=USAGES)
def test_more_tokens_never_cost_less(name: str, usage: Usage, more: Usage) -> None:
    assert cost(MODELS[name], usage + more) >= cost(MODELS[name], usage)


def test_a_known_bill() -> None:
    # 1,000 uncached, 2,000 read, 4,000 written, 500 out at $2 / $0.10 / $2.50 / $10 a million.
    usage = Usage(1000, 500, cache_read_input_tokens=2000, cache_creation_input_tokens=4000)
    assert cost(MODELS["claude-sonnet-5-5"], usage) == 2000 + 200 + 10_000 + 5000


def test_a_long_prompt_pays_the_higher_price_for_all_of_it_cached_or_not() -> None:
    haiku = MODELS["claude-haiku-5-5"]
    assert cost(haiku, Usage(100_000, 0)) == 10_000
    assert cost(haiku, Usage(1, 0, cache_read_input_tokens=100_000)) == 5001
    assert cost(haiku, Usage(100_001, 1000)) == 50_001 + 2500
