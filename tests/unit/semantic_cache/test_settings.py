from pathlib import Path

import pytest

from libs.testing.settings import faults
from services.semantic_cache.model_folder import ModelNotFoundError, locate
from services.semantic_cache.settings import SemanticCacheSettings

REQUIRED = {"redis_url": "redis://h", "auth_target": "static:///h:1", "service_secret": "secret"}


def test_where_its_peers_are_has_no_default() -> None:
    named = [line.partition(":")[0] for line in faults(SemanticCacheSettings, {"embeddings_enabled": False})]
    assert sorted(named) == ["AGENTMESH_AUTH_TARGET", "AGENTMESH_REDIS_URL", "AGENTMESH_SERVICE_SECRET"]


def test_a_missing_model_is_a_fault_that_names_the_variable(tmp_path: Path) -> None:
    lines = faults(SemanticCacheSettings, {**REQUIRED, "model_path": str(tmp_path), "redis_url": "http://nowhere"})
    assert len(lines) == 2
    assert lines[0].startswith("AGENTMESH_REDIS_URL")
    assert lines[1].startswith("AGENTMESH_MODEL_PATH")


def test_without_embeddings_no_model_is_needed(tmp_path: Path) -> None:
    values = {**REQUIRED, "model_path": str(tmp_path), "embeddings_enabled": False}
    assert faults(SemanticCacheSettings, values) == []
    assert SemanticCacheSettings.model_validate(values).model_folder() is None


def test_another_model_makes_vectors_of_its_own_space(tmp_path: Path) -> None:
    pooling = tmp_path / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text('{"word_embedding_dimension": 12}')
    folder = locate(str(tmp_path))
    assert (folder.name, folder.dimension) == (tmp_path.name, 12)
    assert folder.space != locate("").space


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"word_embedding_dimension": "many"}'])
def test_what_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    pooling = tmp_path / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text(content)
    with pytest.raises(ModelNotFoundError, match=tmp_path.name):
        locate(str(tmp_path))
