from services.model_router.models import Catalogue, Model, PriceBand, TierRule
from services.model_router.prompt import GenerationRequest, Message, Role, Tier

REQUEST_ID = "3f2b8c1e-0a4d-4e6f-9b7a-1c2d3e4f5a6b"


def model(name: str, *, context: int = 200_000, output: int = 64_000, temperature: bool = False) -> Model:
    prices = (PriceBand(None, 1_000_000, 5_000_000, 100_000, 1_250_000),)
    return Model(name, "anthropic", context, output, prices, temperature)


def catalogue(*models: Model, **tiers: TierRule) -> Catalogue:
    rules = {Tier[name.upper()]: rule for name, rule in tiers.items()}
    everything = TierRule(tuple(each.name for each in models), ())
    return Catalogue({each.name: each for each in models}, {tier: rules.get(tier, everything) for tier in Tier})


def ask(
    text: str = "hello",
    *,
    model: str = "",
    tier: Tier | None = None,
    max_tokens: int = 0,
    temperature: float | None = None,
    system_prompt: str = "",
) -> GenerationRequest:
    messages = (Message(Role.USER, text),)
    return GenerationRequest(REQUEST_ID, messages, system_prompt, tier, model, max_tokens, temperature)
