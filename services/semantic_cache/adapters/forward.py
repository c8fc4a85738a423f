"""A batch of texts through the modules of a sentence-transformers model: read once, run in groups of like length."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch import Tensor

from services.semantic_cache.embedding.lengths import split_by_length

Features: TypeAlias = Mapping[str, object]
"""What a model's first module makes of texts; tensors, and words about them."""

_MASK: Final = "attention_mask"
_OUTPUT: Final = "sentence_embedding"


class Rows(NamedTuple):
    """What a batch became."""

    vectors: NDArray[np.float32]
    """Texts by dimensions; unit vectors."""
    tokens: NDArray[np.int64] | None
    """How many tokens of each text the model read, prompt included; None if its tokenizer does not say."""


class Forward:
    """What `encode(texts, normalize_embeddings=True)` computes, without what it does besides, and with less padding.

    `encode` sorts by characters and pads every batch to its longest text. Here a batch is parted by its true lengths
    (`split_by_length`); columns that only hold padding are cut off, which leaves every text's own tokens as they were.

    Args:
        model: in evaluation mode.
        overhead: what one more pass costs, in padded tokens.
    """

    def __init__(self, model: SentenceTransformer, overhead: int) -> None:
        self._model: Final = model
        self._overhead: Final = overhead
        # As `encode` does when it is told of no other.
        self.prompt: Final = model.prompts.get(model.default_prompt_name or "")

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> Rows:
        """The vectors of at least one text, in their order."""
        features = self._model.preprocess(list(texts), prompt=self.prompt)
        mask = _mask_of(features, len(texts))
        if mask is None:
            return Rows(self._pass(features), None)
        lengths = mask.sum(1)
        groups = split_by_length(lengths.tolist(), self._overhead)
        parts = [self._pass(_rows(features, mask, group)) for group in groups]
        # Where each text's row ended up.
        places = np.argsort(np.concatenate(groups))
        return Rows(np.concatenate(parts)[places], lengths.numpy())

    def _pass(self, features: Features) -> NDArray[np.float32]:
        device = self._model.device
        moved = {name: each.to(device) if isinstance(each, Tensor) else each for name, each in features.items()}
        vectors = self._model(moved)[_OUTPUT][:, : self._model.truncate_dim]
        unit: NDArray[np.float32] = torch.nn.functional.normalize(vectors.float(), p=2, dim=1).cpu().numpy()
        return unit


def _mask_of(features: Features, texts: int) -> Tensor | None:
    """Which tokens are text, if the features are one row per text and can be cut; other models have other shapes."""
    mask = features.get(_MASK)
    if not isinstance(mask, Tensor) or mask.dim() != 2 or len(mask) != texts:
        return None
    tensors = [each for each in features.values() if isinstance(each, Tensor)]
    return mask if all(each.shape == mask.shape for each in tensors) else None


def _rows(features: Features, mask: Tensor, group: Sequence[int]) -> Features:
    rows = torch.tensor(group)
    # Padding is on the right or on the left, so the columns in use are neighbours.
    columns = mask[rows].any(0).nonzero()
    first, end = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, mask.shape[1])
    return {name: each[rows, first:end] if isinstance(each, Tensor) else each for name, each in features.items()}
