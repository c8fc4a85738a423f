"""Models and their terms."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.model_router.prompt import Tier


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Prices of prompts up to a length, in micro-dollars per million tokens."""

    up_to_prompt_tokens: int | None
    """The longest prompt these prices are for; None has no end."""
    input: int
    output: int
    cache_read: int
    cache_write: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its terms."""

    name: str
    """As the provider knows it."""
    provider: str
    context_tokens: int
    max_output_tokens: int
    prices: tuple[PriceBand, ...]
    """By rising prompt length; the last has no end."""
    temperature: bool = False
    """Whether it takes a sampling temperature."""
    thinking: str = ""
    """How it is to think, in the provider's words; empty leaves it to the provider."""


@dataclass(frozen=True, slots=True)
class TierRule:
    """Who answers when a tier is asked for."""

    models: tuple[str, ...]
    """The preferred first."""
    fallback: tuple[Tier, ...]
    """The tiers whose models follow."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every model the router may call."""

    models: Mapping[str, Model]
    """By name, in the file's order."""
    tiers: Mapping[Tier, TierRule]

    def tiers_of(self, name: str) -> tuple[Tier, ...]:
        """The tiers a model serves."""
        return tuple(tier for tier, rule in self.tiers.items() if name in rule.models)
