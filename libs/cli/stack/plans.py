"""Which processes a local mesh is made of, and what each is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from libs.cli.stack.process import Plan
from libs.cli.stack.secrets import Secrets

GRPC_SERVICES: Final = ("auth", "memory", "semantic_cache", "model_router", "monitoring", "conversation")
WORKER: Final = "conversation_worker"
SIMULATOR: Final = "model_simulator"
_SIMULATED_KEY: Final = "sk-sim-local-0000"
_SCALABLE: Final = (*GRPC_SERVICES, WORKER)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What the local mesh looks like."""

    directory: Path
    """Where data, logs, secrets and the state file live."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """Processes by service; those not named have one."""
    anthropic_api_key: str = ""
    """Empty: the simulator answers."""
    front_door_port: int = 0
    """Port of the first conversation replica; 0 takes a free one."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """More environment variables by service (`*`: for all), over those computed here."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.replicas) - set(_SCALABLE))
        if unknown:
            raise ValueError(f"no such service: {', '.join(unknown)}; there are {', '.join(_SCALABLE)}")
        absurd = sorted(name for name, count in self.replicas.items() if not 0 <= count <= 64)
        if absurd:
            raise ValueError(f"replicas must be 0 to 64: {', '.join(absurd)}")

    def count(self, service: str) -> int:
        """How many processes of a service there are."""
        return self.replicas.get(service, 1)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, decided before anything starts, so that all can start at once."""

    redis_url: str
    simulator_port: int
    ports: Mapping[str, tuple[int, ...]]
    """gRPC ports by service, one per replica."""

    def target(self, service: str) -> str:
        """What a mesh channel dials."""
        return "static:///" + ",".join(f"127.0.0.1:{port}" for port in self.ports[service])


def plans(options: StackOptions, secrets: Secrets, addresses: Addresses) -> list[Plan]:
    """Every process of the mesh but Redis."""
    shared = _shared(secrets, addresses)
    made: list[Plan] = []
    if not options.anthropic_api_key:
        made.append(_simulator(options, addresses))
    for service in GRPC_SERVICES:
        for index, port in enumerate(addresses.ports[service]):
            environment = {
                **shared,
                "AGENTMESH_GRPC_ADDRESS": f"127.0.0.1:{port}",
                **_own(service, options, secrets, addresses),
                **_overrides(options, service),
            }
            made.append(Plan(f"{service}-{index}", service, (f"services.{service}",), environment))
    for index in range(options.count(WORKER)):
        environment = {**shared, **_overrides(options, WORKER)}
        made.append(Plan(f"{WORKER}-{index}", WORKER, ("services.conversation", "worker"), environment))
    return made


def _shared(secrets: Secrets, addresses: Addresses) -> dict[str, str]:
    targets = {
        f"AGENTMESH_{service.upper()}_TARGET": addresses.target(service)
        for service in GRPC_SERVICES
        if service != "conversation"
    }
    return {
        **targets,
        "AGENTMESH_REDIS_URL": addresses.redis_url,
        "AGENTMESH_SERVICE_SECRET": secrets.service_secret,
        "AGENTMESH_ADMIN_ADDRESS": "127.0.0.1:0",
        # Nobody routes to a local process by its health, so there is nothing to wait for.
        "AGENTMESH_DRAIN_WAIT": "0",
        "AGENTMESH_DRAIN_GRACE": "5",
    }


def _own(service: str, options: StackOptions, secrets: Secrets, addresses: Addresses) -> dict[str, str]:
    match service:
        case "auth":
            return {
                "AGENTMESH_AUTH_TARGET": "",
                "AGENTMESH_SIGNING_KEY": secrets.signing_key,
                "AGENTMESH_KEY_PEPPER": secrets.key_pepper,
                "AGENTMESH_ROOT_KEY": secrets.root_key,
            }
        case "model_router" if options.anthropic_api_key:
            return {"AGENTMESH_ANTHROPIC_API_KEY": options.anthropic_api_key}
        case "model_router":
            return {
                "AGENTMESH_ANTHROPIC_API_KEY": _SIMULATED_KEY,
                "AGENTMESH_ANTHROPIC_BASE_URL": f"http://127.0.0.1:{addresses.simulator_port}",
            }
        case _:
            return {}


def _simulator(options: StackOptions, addresses: Addresses) -> Plan:
    environment = {
        "AGENTMESH_ADDRESS": f"127.0.0.1:{addresses.simulator_port}",
        **_overrides(options, SIMULATOR),
    }
    return Plan(f"{SIMULATOR}-0", SIMULATOR, (f"services.{SIMULATOR}",), environment)


def _overrides(options: StackOptions, service: str) -> dict[str, str]:
    return {**options.settings.get("*", {}), **options.settings.get(service, {})}
