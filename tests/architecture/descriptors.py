"""What a change of the contracts would break for peers one version back."""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet


def breakages(before: FileDescriptorSet, after: FileDescriptorSet) -> list[str]:
    """Everything that was there and is gone or different; additions break nobody."""
    files = {file.name: file for file in after.file}
    found: list[str] = []
    for old in before.file:
        new = files.get(old.name)
        if new is None:
            found.append(f"{old.name}: removed")
        else:
            found.extend(_file(old, new))
    return found


def _file(old: FileDescriptorProto, new: FileDescriptorProto) -> Iterator[str]:
    if old.package != new.package:
        yield f"{old.name}: package {old.package} became {new.package}"
    messages = {message.name: message for message in new.message_type}
    for message in old.message_type:
        yield from _message(f"{old.package}.{message.name}", message, messages.get(message.name))
    enums = {enum.name: enum for enum in new.enum_type}
    for enum in old.enum_type:
        yield from _enum(f"{old.package}.{enum.name}", enum, enums.get(enum.name))
    services = {service.name: {method.name: method for method in service.method} for service in new.service}
    for service in old.service:
        for method in service.method:
            name = f"{old.package}.{service.name}/{method.name}"
            now = services.get(service.name, {}).get(method.name)
            if now is None:
                yield f"{name}: removed"
            elif method.SerializeToString(deterministic=True) != now.SerializeToString(deterministic=True):
                yield f"{name}: its types or streaming changed"


def _message(name: str, old: DescriptorProto, new: DescriptorProto | None) -> Iterator[str]:
    if new is None:
        yield f"{name}: removed"
        return
    fields = {field.number: field for field in new.field}
    reserved = {number for span in new.reserved_range for number in range(span.start, span.end)}
    for field in old.field:
        now = fields.get(field.number)
        if now is None:
            if field.number not in reserved:
                yield f"{name}.{field.name}: number {field.number} removed without being reserved"
        elif (field.name, field.type, field.type_name, field.label) != (now.name, now.type, now.type_name, now.label):
            yield f"{name}.{field.name}: changed its name, type or label"
    nested = {message.name: message for message in new.nested_type}
    for message in old.nested_type:
        yield from _message(f"{name}.{message.name}", message, nested.get(message.name))


def _enum(name: str, old: EnumDescriptorProto, new: EnumDescriptorProto | None) -> Iterator[str]:
    values = {value.number: value.name for value in new.value} if new is not None else {}
    for value in old.value:
        if values.get(value.number) != value.name:
            yield f"{name}.{value.name}: removed or renamed"
