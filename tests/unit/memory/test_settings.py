from libs.testing.settings import faults
from services.memory.settings import MemorySettings


def test_where_its_peers_are_has_no_default() -> None:
    named = [line.partition(":")[0] for line in faults(MemorySettings, {})]
    assert sorted(named) == ["AGENTMESH_AUTH_TARGET", "AGENTMESH_REDIS_URL", "AGENTMESH_SERVICE_SECRET"]
