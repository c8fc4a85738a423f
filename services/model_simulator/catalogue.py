"""The models the simulator pretends to serve."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.model_simulator.errors import ApiError

_NAME: Final = re.compile(r"claude-([a-z]+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue."""

    id: str
    limit_class: str
    """Models of one class share rate limits: family and major version, such as `claude-sonnet-5`."""
    context_tokens: int
    max_output_tokens: int

    @property
    def display_name(self) -> str:
        """The id as people write it: `Claude Haiku 4 5 (simulated)`."""
        return f"{self.id.replace('-', ' ').title()} (simulated)"


class Catalogue:
    """Models by id, in the order they were given."""

    __slots__ = ("_models",)

    def __init__(self, ids: Iterable[str], context_tokens: int, max_output_tokens: int) -> None:
        self._models: Final = {name: Model(name, limit_class(name), context_tokens, max_output_tokens) for name in ids}

    def __repr__(self) -> str:
        return f"Catalogue({', '.join(self._models)})"

    def require(self, model_id: str) -> Model:
        """The model of that id; 404 if there is none."""
        model = self._models.get(model_id)
        if model is None:
            raise ApiError(404, f"model: {model_id[:100]}")
        return model

    def all(self) -> tuple[Model, ...]:
        """Every model."""
        return tuple(self._models.values())


def limit_class(model_id: str) -> str:
    """The class of models whose rate limits `model_id` shares; an id of another shape is a class of its own."""
    match = _NAME.match(model_id)
    return match.group(0) if match else model_id
