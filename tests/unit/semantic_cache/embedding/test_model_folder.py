import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.semantic_cache.model_folder import ModelNotFoundError, locate

# Larger than what is read of it.
WEIGHTS = bytes(range(256)) * 8192
POOLING = {"word_embedding_dimension": 12, "pooling_mode_mean_tokens": True}


def write_model(folder: Path, modules: Mapping[str, Mapping[str, object]], weights: bytes = WEIGHTS) -> Path:
    """A folder that looks like a model: modules by path, with their configurations."""
    for path, config in modules.items():
        (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / path / "config.json").write_text(json.dumps(config))
    listed = [{"idx": number, "name": str(number), "path": path} for number, path in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("modules", "dimension"),
    [
        ({"": {"hidden_size": 99}, "1_Pooling": POOLING}, 12),
        ({"": {}, "1_Pooling": POOLING | {"pooling_mode_cls_token": True}}, 24),
        ({"": {}, "1_Pooling": {"embedding_dimension": 12, "pooling_mode": "mean"}}, 12),
        ({"": {}, "1_Pooling": {"embedding_dimension": 12, "pooling_mode": ["mean", "max", "cls"]}}, 36),
        ({"": {}, "1_Pooling": POOLING, "2_Dense": {"in_features": 12, "out_features": 5}, "3_Normalize": {}}, 5),
    ],
)
def test_the_dimension_is_what_the_last_module_makes_of_it(
    tmp_path: Path, modules: Mapping[str, Mapping[str, object]], dimension: int
) -> None:
    assert locate(str(write_model(tmp_path, modules))).dimension == dimension


def test_a_folder_that_does_not_tell_the_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=tmp_path.name):
        locate(str(write_model(tmp_path, {"": {"hidden_size": 12}, "1_Pooling": {}})))


def test_equal_models_share_their_vectors_wherever_they_lie(tmp_path: Path) -> None:
    modules = {"": {}, "1_Pooling": POOLING}
    one, other = (locate(str(write_model(tmp_path / name, modules))) for name in ("one", "other"))
    assert one.name != other.name
    assert one.space == other.space


@pytest.mark.parametrize("place", [0, len(WEIGHTS) // 15 + 100, len(WEIGHTS) - 1])
def test_a_model_of_the_same_name_with_other_weights_has_a_space_of_its_own(tmp_path: Path, place: int) -> None:
    other = bytearray(WEIGHTS)
    other[place] ^= 1
    spaces = {
        locate(str(write_model(tmp_path / kind / "model", {"": {}, "1_Pooling": POOLING}, weights))).space
        for kind, weights in (("one", WEIGHTS), ("other", bytes(other)), ("longer", WEIGHTS + b"x"))
    }
    assert len(spaces) == 3


@pytest.mark.parametrize("changed", ["1_Pooling/config.json", "modules.json", "vocab.txt"])
def test_so_has_one_that_is_set_up_otherwise(tmp_path: Path, changed: str) -> None:
    folder = write_model(tmp_path, {"": {}, "1_Pooling": POOLING})
    before = locate(str(folder)).space
    with (folder / changed).open("a") as file:
        file.write(" ")
    assert locate(str(folder)).space != before


def test_notes_beside_the_model_change_nothing(tmp_path: Path) -> None:
    folder = write_model(tmp_path, {"": {}, "1_Pooling": POOLING})
    before = locate(str(folder)).space
    (folder / "README.md").write_text("A model.")
    assert locate(str(folder)).space == before
