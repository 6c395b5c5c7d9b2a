"""Change single entries of a YAML document in its text. All other bytes stay as somebody wrote them.

A parser and an emitter can't do that: an emitter writes an escaped dollar as a plain one, which a gateway
then takes for a variable, ``1e400`` as ``.inf``, and leaves strings without quotes that lyaml reads as
numbers. So the parser tells where an entry stands (it is libyaml, which lyaml is made of as well), and the
text is cut there. What comes out is parsed again, and held against the same change of the parsed document.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Sequence

Path: TypeAlias = tuple[str, ...]
Entry: TypeAlias = tuple[Node, Node]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAP: Final = "tag:yaml.org,2002:map"
_NULL: Final = "tag:yaml.org,2002:null"
_MARK: Final = "\ufeff"  # a byte order mark: no part of the document


class NotEditable(Exception):
    """The text is no YAML, or the change can't be made in it; the message says why, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A mapping's entry as it is written: its text from the key on, and the column of the key there.

    Attributes:
        text: Key and value, without a line break at the end.
        column: Where the key stands; the lines behind the first are indented from there.
        is_block: Whether the value goes over lines by its indentation, so that no flow mapping can hold it.
        value: The parsed value.
    """

    text: str
    column: int
    is_block: bool
    value: Node

    @property
    def needs_break(self) -> bool:
        """Whether what follows on the same line would become a part of it: it ends with a block scalar."""
        last = self.value
        while isinstance(last, MappingNode | SequenceNode) and not last.flow_style and last.value:
            child = last.value[-1]
            last = child[1] if isinstance(child, tuple) else child
        return isinstance(last, ScalarNode) and last.style in ("|", ">")


def parse(text: str) -> MappingNode | None:
    """Return the document of *text*; None if there is nothing in it.

    Raises:
        NotEditable: It isn't one YAML document that is a mapping.
    """
    try:
        root = yaml.compose(text.removeprefix(_MARK), Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise NotEditable("it is no YAML") from None
    if root is None or is_null(root):
        return None
    if not isinstance(root, MappingNode):
        raise NotEditable("it is no mapping")
    return root


def find(root: Node | None, path: Path) -> Entry | None:
    """Return the entry at *path* below *root*; None if there is none.

    Raises:
        NotEditable: Two entries have that name, or something on the way to it is no mapping.
    """
    entry: Entry | None = None
    for number, name in enumerate(path):
        node = root if entry is None else entry[1]
        if node is None or is_null(node):
            return None
        if not isinstance(node, MappingNode):
            raise NotEditable(f"{'.'.join(path[:number])} is no mapping")
        found = [pair for pair in node.value if isinstance(pair[0], ScalarNode) and pair[0].value == name]
        if len(found) > 1:
            raise NotEditable(f"{'.'.join(path[: number + 1])} stands there twice")
        if not found:
            return None
        entry = found[0]
    return entry


def piece(name: str, value: str) -> Piece:
    """Return the entry ``name: value``; *value* is YAML on one line."""
    text = f"{name}: {value}"
    root = parse(text)
    assert root is not None  # noqa: S101 (it has a key)
    return Piece(text, 0, is_block=False, value=root.value[0][1])


def cut(text: str, entry: Entry) -> Piece:
    """Return *entry* as it is written in *text*."""
    text = text.removeprefix(_MARK)
    key, value = entry
    written = text[key.start_mark.index : _end(value)].replace("\r\n", "\n")
    is_block = value.style in ("|", ">") if isinstance(value, ScalarNode) else not _is_flow(value)
    return Piece(written.removesuffix("\n"), key.start_mark.column, is_block, value)


def grafted(text: str, grafts: Sequence[tuple[Path, Piece]]) -> str:
    """Return *text* with each piece as the entry at its path, in the place of what is there or beside it.

    Raises:
        NotEditable: *text* is no mapping, or is written in a way that the change can't be made in.
    """
    mark = text[: len(text) - len(text.removeprefix(_MARK))]
    expected, changed = parse(text) or MappingNode(_MAP, []), text.removeprefix(_MARK)
    for path, part in grafts:
        changed = _graft(changed, path, part)
        _put(expected, path, part.value)
    try:
        result = parse(changed)
        is_as_meant = result is not None and digest(result) == digest(expected)
    except (NotEditable, RecursionError):
        is_as_meant = False
    if not is_as_meant:
        raise NotEditable("it is written in a way that it can't be changed in: write it in block style")
    return mark + changed


def digest(node: Node, known: dict[int, bytes] | None = None) -> bytes:
    """Return what is equal for nodes that mean the same, however they are written; maps have no order."""
    known = {} if known is None else known
    if id(node) not in known:
        if isinstance(node, MappingNode):
            parts = sorted(digest(key, known) + digest(value, known) for key, value in node.value)
        elif isinstance(node, SequenceNode):
            parts = [digest(child, known) for child in node.value]
        else:
            parts = [node.value.encode("utf-8", "surrogatepass")]
        own = [type(node).__name__.encode(), str(node.tag).encode(), *parts]
        known[id(node)] = hashlib.sha256(b"".join(b"%d:%b" % (len(each), each) for each in own)).digest()
    return known[id(node)]


def _graft(text: str, path: Path, part: Piece) -> str:
    root = parse(text)
    if root is None or not root.value:
        whole = _wrapped(path[:-1], part, is_flow=False)
        kept = text if root is None else text[: root.start_mark.index] + text[root.end_mark.index :]
        return kept + "\n" * bool(kept and not kept.endswith("\n")) + whole.text + "\n"
    depth = len(path)
    while depth > 1 and not _holds_entries(root, path[: depth - 1]):
        depth -= 1
    home = find(root, path[: depth - 1])
    entry = find(root, path[:depth])
    mapping = home[1] if home else root
    part = _wrapped(path[depth - 1 : -1], part, is_flow=_is_flow(mapping))
    line_break = "\r\n" if "\r\n" in text else "\n"
    if entry is not None:
        return _replaced(text, mapping, entry, part, line_break)
    return _inserted(text, mapping, part, line_break)


def _holds_entries(root: Node, path: Path) -> bool:
    entry = find(root, path)
    if entry is None or is_null(entry[1]):
        return False
    if not isinstance(entry[1], MappingNode):
        raise NotEditable(f"{'.'.join(path)} is no mapping")
    return bool(entry[1].value)


def _wrapped(sections: Path, part: Piece, *, is_flow: bool) -> Piece:
    """Return *part* within new *sections*."""
    for name in reversed(sections):
        node = MappingNode("", [(_key(name), part.value)], flow_style=is_flow)
        if is_flow and not part.is_block:
            part = Piece(f"{name}: {{{part.text}}}", 0, is_block=False, value=node)
        else:
            part = Piece(f"{name}:\n  {_shifted(part, 2)}", 0, is_block=True, value=node)
    return part


def _replaced(text: str, mapping: Node, entry: Entry, part: Piece, line_break: str) -> str:
    key, value = entry
    end = _end(value)
    new = _placed(mapping, part, key.start_mark.column, line_break)
    ends_line = text[:end].endswith("\n") or part.needs_break
    rest = text[end:].removeprefix(line_break) if ends_line and not text[:end].endswith("\n") else text[end:]
    return text[: key.start_mark.index] + new + (line_break if ends_line else "") + rest


def _inserted(text: str, mapping: Node, part: Piece, line_break: str) -> str:
    first = mapping.value[0][0].start_mark
    new = _placed(mapping, part, first.column, line_break)
    between = ", " if _is_flow(mapping) else line_break + " " * first.column
    return text[: first.index] + new + between + text[first.index :]


def _placed(mapping: Node, part: Piece, column: int, line_break: str) -> str:
    if _is_flow(mapping) and part.is_block:
        raise NotEditable("it is written in flow style, and what goes into it is not")
    return _shifted(part, column).replace("\n", line_break)


def _shifted(part: Piece, column: int) -> str:
    """Return the text of *part* for a key at *column*."""
    first, *others = part.text.split("\n")
    by = column - part.column
    moved = [
        " " * by + line if by > 0 and line else line[min(-by, len(line) - len(line.lstrip(" "))) :]
        for line in others
    ]
    return "\n".join([first, *moved])


def _end(value: Node) -> int:
    """Return where *value* ends; a block's own mark lies behind the comments that follow it."""
    if not isinstance(value, MappingNode | SequenceNode) or value.flow_style or not value.value:
        return int(value.end_mark.index)
    last = value.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _is_flow(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and bool(node.flow_style)


def _put(root: MappingNode, path: Path, value: Node) -> None:
    """Change the parsed document as the text is changed."""
    node = root
    for name in path[:-1]:
        entry = find(node, (name,))
        if entry is None or is_null(entry[1]):
            node.value = [pair for pair in node.value if pair is not entry]
            entry = _key(name), MappingNode(_MAP, [])
            node.value.append(entry)
        if not isinstance(entry[1], MappingNode):
            raise NotEditable(f"{name} is no mapping")
        node = entry[1]
    before = find(node, path[-1:])
    node.value = [pair for pair in node.value if pair is not before] + [(_key(path[-1]), value)]


def _key(name: str) -> ScalarNode:
    return ScalarNode("tag:yaml.org,2002:str", name)


def is_null(node: Node) -> bool:
    """Tell whether *node* is a null, or nothing."""
    return isinstance(node, ScalarNode) and node.tag == _NULL
