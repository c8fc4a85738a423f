from pathlib import Path

import pytest

from libs.testing.settings import faults
from services.semantic_cache.model_folder import ModelNotFoundError, locate
from services.semantic_cache.policies import TenantPolicy
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


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"default_ttl": 100, "max_ttl": 99}, "AGENTMESH_MAX_TTL"),
        ({"max_ttl": 99, "default_ttl": 9, "tenant_policies": {"t1": {"ttl": 100}}}, "AGENTMESH_TENANT_POLICIES"),
        ({"tenant_policies": {"t1": {"ttl": float("inf")}}}, "AGENTMESH_TENANT_POLICIES"),
        ({"tenant_policies": {"t1": {"max_wrong_rate": 0.6}}}, "AGENTMESH_TENANT_POLICIES"),
        ({"tenant_policies": {"t1": {"max_wrong_rate": float("nan")}}}, "AGENTMESH_TENANT_POLICIES"),
        ({"tenant_policies": {"t1": {"max_rate": 0.1}}}, "AGENTMESH_TENANT_POLICIES"),
        ({"max_wrong_rate": 0.0}, "AGENTMESH_MAX_WRONG_RATE"),
        ({"max_wrong_rate": float("nan")}, "AGENTMESH_MAX_WRONG_RATE"),
    ],
)
def test_rules_that_bound_nothing_are_faults(values: dict[str, object], variable: str) -> None:
    lines = faults(SemanticCacheSettings, {**REQUIRED, "embeddings_enabled": False, **values})
    assert len(lines) == 1
    assert lines[0].startswith(variable)


def test_a_tenants_rules_complete_everybodys() -> None:
    values = {**REQUIRED, "embeddings_enabled": False, "max_wrong_rate": 0.03, "default_ttl": 50}
    own = {"t1": {"max_wrong_rate": 0.01}, "t2": {"ttl": 10}}
    policies = SemanticCacheSettings.model_validate({**values, "tenant_policies": own}).policies()
    assert policies.of("t1") == TenantPolicy(0.01, 50)
    assert policies.of("t2") == TenantPolicy(0.03, 10)
    assert policies.of("t3") == TenantPolicy(0.03, 50)
