"""How a turn is asked for, shared by both clients."""

from dataclasses import dataclass
from typing import Literal

from agentmesh.conversation.v1 import conversation_pb2
from agentmesh.types.v1 import types_pb2

Tier = Literal["", "fast", "balanced", "deep"]

_TIERS = {
    "": types_pb2.MODEL_TIER_UNSPECIFIED,
    "fast": types_pb2.MODEL_TIER_FAST,
    "balanced": types_pb2.MODEL_TIER_BALANCED,
    "deep": types_pb2.MODEL_TIER_DEEP,
}


@dataclass(frozen=True, slots=True)
class Options:
    """How an answer should be made; the defaults leave it to the service."""

    tier: Tier = ""
    model: str = ""
    max_tokens: int = 0
    bypass_cache: bool = False
    language: str = ""
    """To answer in, such as `de-CH`."""

    def to_proto(self) -> conversation_pb2.GenerationOptions:
        """For the wire."""
        return conversation_pb2.GenerationOptions(
            tier=_TIERS[self.tier],
            model=self.model,
            max_tokens=self.max_tokens,
            bypass_cache=self.bypass_cache,
            language=self.language,
        )


DEFAULT = Options()
