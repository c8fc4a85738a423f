"""The contracts: where they stand, and that they break nobody one version back."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from tests.architecture.descriptors import breakages

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos" / "agentmesh").rglob("*.proto"))


def _baseline() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "protos" / "baseline.binpb").read_bytes())


def _current(tmp_path: Path) -> FileDescriptorSet:
    out = tmp_path / "current.binpb"
    names = [str(path.relative_to(ROOT / "protos")) for path in PROTOS]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", "--include_imports"]
    subprocess.run([*command, f"--descriptor_set_out={out}", *names], check=True, cwd=ROOT)
    return FileDescriptorSet.FromString(out.read_bytes())


def test_nothing_of_the_last_release_is_broken(tmp_path: Path) -> None:
    assert breakages(_baseline(), _current(tmp_path)) == []


def _drop_method(descriptors: FileDescriptorSet) -> None:
    del _file(descriptors, "auth").service[0].method[0]


def _drop_field(descriptors: FileDescriptorSet) -> None:
    del _file(descriptors, "auth").message_type[0].field[0]


def _retype_field(descriptors: FileDescriptorSet) -> None:
    _file(descriptors, "auth").message_type[0].field[0].type = FieldDescriptorProto.TYPE_BYTES


def _renumber_enum(descriptors: FileDescriptorSet) -> None:
    _file(descriptors, "types").enum_type[0].value[1].number = 77


def _drop_file(descriptors: FileDescriptorSet) -> None:
    descriptors.file.remove(_file(descriptors, "auth"))


@pytest.mark.parametrize("change", [_drop_method, _drop_field, _retype_field, _renumber_enum, _drop_file])
def test_a_breaking_change_is_found(change: Callable[[FileDescriptorSet], None]) -> None:
    changed = _baseline()
    change(changed)
    assert breakages(_baseline(), changed)


def test_a_field_may_go_if_its_number_is_reserved() -> None:
    changed = _baseline()
    message = _file(changed, "auth").message_type[0]
    gone = message.field[0].number
    del message.field[0]
    message.reserved_range.add(start=gone, end=gone + 1)
    assert breakages(_baseline(), changed) == []


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.stem)
def test_the_path_is_the_package_is_the_import(path: Path) -> None:
    folder = path.parent.relative_to(ROOT / "protos")
    assert f"package {'.'.join(folder.parts)};" in path.read_text()
    assert (ROOT / "protos" / "gen" / folder / f"{path.stem}_pb2.py").exists()


def test_money_is_an_integer_of_micro_dollars(tmp_path: Path) -> None:
    money = [
        (message.name, field.name, field.type)
        for message in _messages(_current(tmp_path))
        for field in message.field
        if any(word in field.name for word in ("usd", "cost", "price"))
    ]
    assert money
    assert [each for each in money if "usd_micros" not in each[1] or each[2] != FieldDescriptorProto.TYPE_INT64] == []


def _messages(descriptors: FileDescriptorSet) -> Iterator[DescriptorProto]:
    """Every message of ours, also those inside others."""
    waiting = [message for file in descriptors.file if "agentmesh" in file.package for message in file.message_type]
    while waiting:
        message = waiting.pop()
        yield message
        waiting += message.nested_type


def test_messages_inside_messages_are_looked_at_too() -> None:
    inner = DescriptorProto(name="Inner")
    outer = DescriptorProto(name="Outer", nested_type=[inner])
    descriptors = FileDescriptorSet(file=[FileDescriptorProto(package="agentmesh.x.v1", message_type=[outer])])
    assert [message.name for message in _messages(descriptors)] == ["Outer", "Inner"]


def _file(descriptors: FileDescriptorSet, stem: str) -> FileDescriptorProto:
    return next(file for file in descriptors.file if file.name == f"agentmesh/{stem}/v1/{stem}.proto")
