"""The embedding model: sentence-transformers on PyTorch, from a folder on disk, never from the network."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from libs.core.errors import MeshError, Reason
from services.semantic_cache.model_folder import ModelFolder, ModelNotFoundError
from services.semantic_cache.ports import Embedded, EmbeddingModel

_BATCH: Final = 32


class SentenceTransformerModel(EmbeddingModel):
    """A sentence-transformers model. Constructing it takes seconds and some hundred MB: do it in a thread.

    Args:
        folder: from `model_folder.locate`.
        threads: processor threads that one batch may use.

    Raises:
        ModelNotFoundError: the folder's contents contradict each other.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        # Imported only here: they take seconds and 300 MB, which a cache without embeddings does not pay.
        from huggingface_hub import constants

        # What HF_HUB_OFFLINE=1 sets: without it the libraries look for updates of the model on the network.
        constants.HF_HUB_OFFLINE = True
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        # It would draw over the log.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        torch.set_num_threads(threads)
        self._model: Final = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
        self._folder: Final = folder
        # A model without a limit of its own reads everything.
        self._longest: Final = self._model.max_seq_length
        if self._model.get_embedding_dimension() != folder.dimension:
            raise ModelNotFoundError(f"{folder.path}: its vectors do not have {folder.dimension} dimensions")

    @property
    def name(self) -> str:
        """The model's id."""
        return self._folder.name

    @property
    def dimension(self) -> int:
        """Components of its vectors."""
        return self._folder.dimension

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding per text, in their order."""
        batch = list(texts)
        try:
            vectors = self._model.encode(batch, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
            whole = [self._reads_all_of(text) for text in batch]
        except RuntimeError as error:
            # All that PyTorch raises, also when memory runs out.
            raise MeshError(Reason.INTERNAL) from error
        rows = np.asarray(vectors, np.float32)
        return [Embedded(row, fits) for row, fits in zip(rows, whole, strict=True)]

    def _reads_all_of(self, text: str) -> bool:
        # No token is shorter than a byte, so most texts need not be taken apart a second time.
        if self._longest is None or len(text.encode()) < self._longest - 2:
            return True
        return len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"]) <= self._longest

    def __repr__(self) -> str:
        return f"SentenceTransformerModel({self._folder.name!r}, {self._folder.dimension} dimensions)"
