"""Which models may answer a request, in which order."""

from dataclasses import dataclass

from libs.core.errors import FieldViolation, MeshError, Reason, invalid
from services.model_router.models import Catalogue, Model
from services.model_router.prompt import GenerationRequest, Tier, prompt_tokens


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """What the operator decides."""

    default_tier: Tier = Tier.BALANCED
    default_max_tokens: int = 4096
    max_tries: int = 4
    """Models tried for one request, at most."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer, and on what terms."""

    model: Model
    max_tokens: int
    """The longest answer it is asked for."""
    prompt_tokens: int
    """About how long the prompt is."""
    temperature: float | None


class Router:
    """Chooses from a catalogue; pure."""

    def __init__(self, catalogue: Catalogue, policy: RoutingPolicy) -> None:
        self._catalogue = catalogue
        self._policy = policy
        # Chains of tiers never change: they are laid out once.
        self._chains = {tier: _chain(catalogue, tier) for tier in Tier}

    def __repr__(self) -> str:
        return f"Router({len(self._catalogue.models)} models, {self._policy})"

    def candidates(self, request: GenerationRequest) -> tuple[Candidate, ...]:
        """The models to try, the preferred first; at least one.

        Raises:
            MeshError: UNKNOWN_MODEL, CONTEXT_TOO_LONG, or INVALID_FIELD for a temperature that the model asked for
                does not take. (A tier's models that take none answer without it: the tier is what was asked for.)
        """
        models = self._models(request)
        tokens = prompt_tokens(request)
        fitting = [model for model in models if tokens < model.context_tokens]
        if not fitting:
            longest = max(model.context_tokens for model in models)
            raise MeshError(
                Reason.CONTEXT_TOO_LONG,
                f"The prompt has about {tokens} tokens; the longest context of the models asked for is {longest}.",
            )
        return tuple(self._candidate(model, request, tokens) for model in fitting[: self._policy.max_tries])

    def _models(self, request: GenerationRequest) -> tuple[Model, ...]:
        if not request.model:
            return self._chains[request.tier or self._policy.default_tier]
        model = self._catalogue.models.get(request.model)
        if model is None:
            violation = FieldViolation("model", "not in the catalogue; ListModels names those that are")
            raise MeshError(Reason.UNKNOWN_MODEL, violations=[violation])
        if request.temperature is not None and not model.temperature:
            raise invalid("temperature", f"{model.name} takes none")
        return (model,)

    def _candidate(self, model: Model, request: GenerationRequest, tokens: int) -> Candidate:
        wanted = request.max_tokens or self._policy.default_max_tokens
        return Candidate(
            model,
            max_tokens=min(wanted, model.max_output_tokens, model.context_tokens - tokens),
            prompt_tokens=tokens,
            temperature=request.temperature if model.temperature else None,
        )


def _chain(catalogue: Catalogue, tier: Tier) -> tuple[Model, ...]:
    rule = catalogue.tiers[tier]
    names = [*rule.models, *(name for other in rule.fallback for name in catalogue.tiers[other].models)]
    return tuple(catalogue.models[name] for name in dict.fromkeys(names))
