"""etcd3's gRPC messages on protobuf's C backend, with the watch fields that its old .proto lacks.

etcd3 0.12.0 ships code that protoc generated in 2018; today's protobuf refuses to import it. The message
*descriptions* inside that code are still good, so they are read out of its text, completed, and loaded into a
pool of their own; `sys.modules` then offers the result under the name that etcd3 imports. Import
this module before etcd3.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "etcd3.etcdrpc"
_SERIALIZED = re.compile(r"serialized_pb=_b\(('(?:[^'\\]|\\.)*')\)")
_Field = descriptor_pb2.FieldDescriptorProto


def _described(path: Path) -> descriptor_pb2.FileDescriptorProto:
    """Return the description that the generated module at *path* embeds, without running or parsing it."""
    found = _SERIALIZED.search(path.read_text())
    if found is None:
        raise ImportError(f"no message description in {path}: is this etcd3 0.12.0?")
    serialized = ast.literal_eval(found[1]).encode("latin1")
    return descriptor_pb2.FileDescriptorProto.FromString(serialized)


def _complete(rpc: descriptor_pb2.FileDescriptorProto) -> None:
    """Add what etcd's rpc.proto has gained since: watch ids, fragments, progress requests."""
    messages = {message.name: message for message in rpc.message_type}
    rpc.message_type.add(name="WatchProgressRequest")
    _add(messages["WatchCreateRequest"], "watch_id", 7, _Field.TYPE_INT64)
    _add(messages["WatchCreateRequest"], "fragment", 8, _Field.TYPE_BOOL)
    _add(messages["WatchResponse"], "fragment", 7, _Field.TYPE_BOOL)
    progress = _add(messages["WatchRequest"], "progress_request", 3, _Field.TYPE_MESSAGE)
    progress.type_name = f".{rpc.package}.WatchProgressRequest"
    progress.oneof_index = 0


def _add(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: _Field.Type.ValueType
) -> _Field:
    return message.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)


def _load(files: list[descriptor_pb2.FileDescriptorProto]) -> ModuleType:
    """Return a module with a class for each message, and a stub for each service, of *files*."""
    pool = descriptor_pool.DescriptorPool()
    module = ModuleType(_NAME)
    for file in files:
        pool.Add(file)
        described = pool.FindFileByName(file.name)
        vars(module).update(
            (name, message_factory.GetMessageClass(message))
            for name, message in described.message_types_by_name.items()
        )
        vars(module).update(_enum_values(described))
        vars(module).update(
            (f"{name}Stub", _stub(service)) for name, service in described.services_by_name.items()
        )
    return module


def _enum_values(described: Any) -> Iterator[tuple[str, int]]:
    for enum in described.enum_types_by_name.values():
        for value in enum.values:
            yield value.name, value.number


def _stub(service: Any) -> type:
    """Return what grpc's generator makes for *service*: a class with a callable for each method."""

    def connect(self: Any, channel: Any) -> None:
        for method in service.methods:
            shape = (
                f"{'stream' if method.client_streaming else 'unary'}_"
                f"{'stream' if method.server_streaming else 'unary'}"
            )
            call = getattr(channel, shape)(
                f"/{service.full_name}/{method.name}",
                request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)

    return type(f"{service.name}Stub", (), {"__init__": connect})


def _build() -> ModuleType:
    spec = importlib.util.find_spec("etcd3")
    if spec is None or spec.origin is None:
        raise ImportError("etcd3 is not installed")
    folder = Path(spec.origin).parent / "etcdrpc"
    kv, auth, rpc = (_described(folder / f"{name}_pb2.py") for name in ("kv", "auth", "rpc"))
    _complete(rpc)
    return _load([kv, auth, rpc])


messages: Any = sys.modules.get(_NAME) or sys.modules.setdefault(_NAME, _build())
