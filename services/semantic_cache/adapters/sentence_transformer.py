"""The embedding model: sentence-transformers on PyTorch, from a folder on disk, never from the network."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.core.errors import MeshError, Reason
from services.semantic_cache.model_folder import ModelFolder, ModelNotFoundError
from services.semantic_cache.ports import Embedded, EmbeddingModel

_BATCH: Final = 32
_CPU_OVERHEAD: Final = 12
"""A pass through a small model takes one core 1 to 2 ms besides its tokens, at 0.1 to 0.2 ms each."""
_GPU_OVERHEAD: Final = 4_096
"""Launching kernels takes as long as thousands of tokens, so a batch is parted only if it is very uneven."""
_EQUAL: Final = 1e-5
"""Components of unit vectors that differ by less are the same: float32, summed in another order."""
_PROBES: Final = (
    "a",
    "How do I reset my password?",
    "Which city is the capital of Portugal, and how many people have lived there in each of the last ten years?",
    "the quick brown fox jumps over the lazy dog " * 12,
)


class SentenceTransformerModel(EmbeddingModel):
    """A sentence-transformers model. Constructing it takes seconds and some hundred MB: do it in a thread.

    Its vectors are those of `SentenceTransformer.encode(texts, normalize_embeddings=True)`, computed faster. That they
    are is seen at the start, on a few texts: a model for which a short cut does not hold goes without it.

    Args:
        folder: from `model_folder.locate`.
        threads: processor threads that one batch may use.
        device: "cpu", "cuda" or "cuda:1".

    Raises:
        ModelNotFoundError: the folder's contents contradict each other.
        DeviceNotFoundError: there is no such device.
    """

    def __init__(self, folder: ModelFolder, threads: int, device: str = "cpu") -> None:
        # Imported only here: they take seconds and 300 MB, which a cache without embeddings does not pay.
        from huggingface_hub import constants

        # What HF_HUB_OFFLINE=1 sets: without it the libraries look for updates of the model on the network.
        constants.HF_HUB_OFFLINE = True
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        from services.semantic_cache.adapters.forward import Forward
        from services.semantic_cache.device import require_device

        # It would draw over the log.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        torch.set_num_threads(threads)
        place = require_device(device)
        self._model: Final = SentenceTransformer(str(folder.path), device=str(place), local_files_only=True).eval()
        self._folder: Final = folder
        # A model without a limit of its own reads everything.
        self._longest: Final = self._model.max_seq_length
        if self._model.get_embedding_dimension() != folder.dimension:
            raise ModelNotFoundError(f"{folder.path}: its vectors do not have {folder.dimension} dimensions")
        overhead = _CPU_OVERHEAD if place.type == "cpu" else _GPU_OVERHEAD
        self._forward: Final = Forward(self._model, overhead)
        self._direct, self._packed = False, False
        self._take_short_cuts()

    @property
    def name(self) -> str:
        """The model's id."""
        return self._folder.name

    @property
    def dimension(self) -> int:
        """Components of its vectors."""
        return self._folder.dimension

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding per text, in their order; nobody may write to the vectors."""
        if not texts:
            return []
        try:
            rows, tokens = self._forward(texts) if self._direct else (self._encode(texts), None)
            counts = [None] * len(texts) if tokens is None else tokens.tolist()
            whole = [self._reads_all_of(text, count) for text, count in zip(texts, counts, strict=True)]
        except (RuntimeError, ValueError) as error:
            # What PyTorch and the tokenizers mostly raise, also when memory runs out.
            raise MeshError(Reason.INTERNAL) from error
        if not np.isfinite(rows).all():
            raise MeshError(Reason.INTERNAL)
        return [Embedded(_own(row), fits) for row, fits in zip(rows, whole, strict=True)]

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._model.encode(list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    def _take_short_cuts(self) -> None:
        from services.semantic_cache.adapters.packed_linear import pack, unpack

        expected = self._encode(_PROBES)
        self._packed = pack(self._model)
        self._direct = self._agrees_with(expected)
        if self._packed and not self._direct:
            unpack(self._model)
            self._packed, self._direct = False, self._agrees_with(expected)

    def _agrees_with(self, expected: NDArray[np.float32]) -> bool:
        try:
            found = self._forward(_PROBES).vectors
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            # Modules of other kinds than these short cuts were made for.
            return False
        return found.shape == expected.shape and bool(np.abs(found - expected).max() <= _EQUAL)

    def _reads_all_of(self, text: str, tokens: int | None) -> bool:
        if self._longest is None:
            return True
        prompted = (self._forward.prompt or "") + text
        # What was cut has as many tokens as there may be. Where tokens were not counted: none is shorter than a byte.
        if tokens < self._longest if tokens is not None else len(prompted.encode()) < self._longest - 2:
            return True
        try:
            return len(self._model.tokenizer(prompted, truncation=False, verbose=False)["input_ids"]) <= self._longest
        except (TypeError, AttributeError):
            # A tokenizer of another kind; to take the text for cut costs a miss.
            return False

    def __repr__(self) -> str:
        ways = ", ".join(way for way, taken in (("direct", self._direct), ("packed", self._packed)) if taken)
        return (
            f"SentenceTransformerModel({self._folder.name!r}, {self._folder.dimension} dimensions; {ways or 'plain'})"
        )


def _own(row: NDArray[np.float32]) -> NDArray[np.float32]:
    # A view would keep its whole batch alive for as long as anyone keeps one vector.
    vector = row.copy()
    vector.flags.writeable = False
    return vector
