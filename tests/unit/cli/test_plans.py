"""What a local mesh is made of."""

import stat
from pathlib import Path

import pytest

from libs.cli.stack.plans import GRPC_SERVICES, Addresses, StackOptions, plans
from libs.cli.stack.process import inherited
from libs.cli.stack.secrets import Secrets

_SECRETS = Secrets("service-secret", "signing", "pepper", "root")


def _addresses(options: StackOptions) -> Addresses:
    ports = iter(range(16_000, 17_000))
    return Addresses(
        "redis://127.0.0.1:1/0",
        2,
        {service: tuple(next(ports) for _ in range(options.count(service))) for service in GRPC_SERVICES},
    )


def test_every_service_runs_and_callers_know_all_replicas(tmp_path: Path) -> None:
    options = StackOptions(tmp_path, replicas={"memory": 3})
    addresses = _addresses(options)
    made = {plan.name: plan for plan in plans(options, _SECRETS, addresses)}
    assert {"model_simulator-0", "conversation_worker-0", "memory-0", "memory-2"} <= set(made)
    target = made["conversation-0"].environment["AGENTMESH_MEMORY_TARGET"]
    assert target == "static:///" + ",".join(f"127.0.0.1:{port}" for port in addresses.ports["memory"])


def test_secrets_go_only_where_they_belong(tmp_path: Path) -> None:
    options = StackOptions(tmp_path, anthropic_api_key="sk-real")
    made = plans(options, _SECRETS, _addresses(options))
    with_root = {plan.service for plan in made if "AGENTMESH_ROOT_KEY" in plan.environment}
    with_key = {plan.service for plan in made if "sk-real" in plan.environment.values()}
    assert with_root == {"auth"}
    assert with_key == {"model_router"}


def test_a_real_key_means_no_simulator(tmp_path: Path) -> None:
    options = StackOptions(tmp_path, anthropic_api_key="sk-real")
    made = plans(options, _SECRETS, _addresses(options))
    assert "model_simulator" not in {plan.service for plan in made}
    assert not any("AGENTMESH_ANTHROPIC_BASE_URL" in plan.environment for plan in made)


def test_settings_of_a_service_win_over_those_of_all(tmp_path: Path) -> None:
    settings = {"*": {"AGENTMESH_LOG_LEVEL": "error"}, "memory": {"AGENTMESH_LOG_LEVEL": "debug"}}
    options = StackOptions(tmp_path, settings=settings)
    levels = {
        plan.service: plan.environment["AGENTMESH_LOG_LEVEL"] for plan in plans(options, _SECRETS, _addresses(options))
    }
    assert levels["memory"] == "debug"
    assert levels["auth"] == "error"


@pytest.mark.parametrize("replicas", [{"nonsense": 1}, {"memory": -1}, {"memory": 65}])
def test_absurd_replicas_are_refused(tmp_path: Path, replicas: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="memory"):
        StackOptions(tmp_path, replicas=replicas)


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first = Secrets.load_or_make(tmp_path)
    assert Secrets.load_or_make(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert len({first.service_secret, first.key_pepper, first.root_key}) == 3


def test_processes_inherit_no_secrets_and_no_settings_of_others() -> None:
    ours = {"PATH": "/bin", "ANTHROPIC_API_KEY": "sk-real", "AGENTMESH_API_KEY": "amk", "AGENTMESH_LOG_LEVEL": "debug"}

    assert inherited(ours) == {"PATH": "/bin"}
