"""The house as DESIGN lays it out, checked over the source itself. Layers between packages are import-linter's."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from libs.config.settings import Settings

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent for path in (ROOT / "services").glob("*/__main__.py"))
GRPC_SERVICES = [service for service in SERVICES if service.name != "model_simulator"]
OURS = sorted(path for folder in ("libs", "services", "tests") for path in (ROOT / folder).rglob("*.py"))
SHIPPED = [path for path in OURS if "tests" not in path.relative_to(ROOT).parts[:1]]

# Who may know the wire: what translates it, what judges requests before they are translated, and what wires.
AT_THE_WIRE = ("bootstrap.py", "convert.py", "*servicer.py", "validation.py", "authenticator.py")
# Who may know the server they run in: a service's settings are a server's settings and more, `__main__` starts it, and
# `methods.py` is the part of the wiring that says how the server treats each method.
IN_THE_SERVER = ("settings.py", "__main__.py", "methods.py")
TRANSPORTS = ("grpc", "redis", "aiohttp", "anthropic", "google.protobuf", "agentmesh", "libs.store", "libs.mesh")
SERVER = "libs.server"
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb"})


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # The names too: `from libs import store` imports libs.store.
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _domain(service: Path) -> list[Path]:
    return [
        path
        for path in service.rglob("*.py")
        if "adapters" not in path.parts and not any(path.match(pattern) for pattern in AT_THE_WIRE)
    ]


def _names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_rooms_are_there() -> None:
    rooms = ["protos", "services", "libs", "tests", "docs", "Makefile", "pyproject.toml", "README.md"]
    assert [room for room in rooms if not (ROOT / room).exists()] == []
    libraries = {path.name for path in (ROOT / "libs").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert libraries == {"core", "config", "telemetry", "mesh", "server", "store", "testing", "client", "cli"}
    assert {service.name for service in SERVICES} == {
        *("auth", "conversation", "memory", "model_router", "model_simulator", "monitoring", "semantic_cache")
    }


@pytest.mark.parametrize("service", GRPC_SERVICES, ids=lambda path: path.name)
def test_a_service_has_its_shape(service: Path) -> None:
    shape = ["__main__.py", "settings.py", "bootstrap.py", "*servicer.py", "convert.py", "ports.py", "README.md"]
    assert [name for name in shape if not list(service.glob(name))] == []
    assert (service / "adapters").is_dir()


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_main_only_runs(service: Path) -> None:
    assert len((service / "__main__.py").read_text().splitlines()) < 30


@pytest.mark.parametrize("service", GRPC_SERVICES, ids=lambda path: path.name)
def test_domain_modules_know_no_transport(service: Path) -> None:
    known = {
        (_names(path), name)
        for path in _domain(service)
        for name in _imports(path)
        if _is_of(name, *TRANSPORTS) or (_is_of(name, SERVER) and path.name not in IN_THE_SERVER)
    }
    assert known == set()


def _is_of(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_settings_are_frozen(service: Path) -> None:
    module = import_module(f"services.{service.name}.settings")
    types = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Settings) and kind.__module__ == module.__name__
    ]
    assert types
    assert [kind.__name__ for kind in types if not kind.model_config.get("frozen")] == []


@pytest.mark.parametrize("service", GRPC_SERVICES, ids=lambda path: path.name)
def test_only_bootstrap_reaches_for_adapters(service: Path) -> None:
    reaching = {
        _names(path)
        for path in service.glob("*.py")
        if path.name != "bootstrap.py"
        for name in _imports(path)
        if name.startswith(f"services.{service.name}.adapters")
    }
    assert reaching == set()


def test_no_file_is_too_long() -> None:
    assert [_names(path) for path in OURS if len(path.read_text().splitlines()) > 400] == []


def test_nobody_edits_the_import_path() -> None:
    editing = [_names(path) for path in OURS if "sys." + "path" in path.read_text()]
    assert editing == []


def test_the_environment_is_read_in_settings_and_the_command_line_alone() -> None:
    reading = {
        _names(path) for path in SHIPPED for node in ast.walk(ast.parse(path.read_text())) if _reads_environment(node)
    }
    assert {name for name in reading if not name.startswith("libs/cli/")} == set()


@pytest.mark.parametrize(
    "source", ["os.environ['A']", "os.getenv('A')", "from os import environ", "from os import getenv as read"]
)
def test_every_way_of_reading_the_environment_is_known(source: str) -> None:
    assert any(_reads_environment(node) for node in ast.walk(ast.parse(source)))


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in ENVIRONMENT for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT


def test_functions_stay_readable() -> None:
    long = [
        f"{_names(path)}:{node.lineno} {node.name}"
        for path in SHIPPED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > 40
    ]
    assert long == []


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
