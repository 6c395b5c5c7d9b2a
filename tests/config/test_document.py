"""A settings file as a tree of text that knows its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from replicator.config.document import Node, parse, read
from replicator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=12)
trees = st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10)


def plain(node: Node) -> Any:
    if isinstance(node.content, dict):
        return {key: plain(child) for key, child in node.content.items()}
    if isinstance(node.content, list):
        return [plain(item) for item in node.content]
    return node.content


@given(st.dictionaries(texts, trees))
def test_what_yaml_writes_is_read(tree: dict[str, Any]) -> None:
    dumper = yaml.SafeDumper
    assert tree == plain(parse(yaml.dump(tree, Dumper=dumper, allow_unicode=True), "f"))


@pytest.mark.parametrize("text", ["3.10", "007", "yes", "0x10", "1_000", "2026-03-01", "12:30:45", ".inf"])
def test_a_scalar_is_the_text_that_stands_there(text: str) -> None:
    assert {"a": text} == plain(parse(f"a: {text}", "f"))


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "# nothing"])
def test_nothing_is_nothing(text: str) -> None:
    assert plain(parse(f"a: {text}", "f")) == {"a": None}


@pytest.mark.parametrize("text", ["''", '"null"', "'~'"])
def test_a_quoted_nothing_is_a_text(text: str) -> None:
    assert {"a": text[1:-1]} == plain(parse(f"a: {text}", "f"))


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n", "\ufeff", "---\n...\n"])
def test_an_empty_file_is_an_empty_mapping(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")

    assert plain(read(path)) in ({}, None)


def test_a_place_is_the_line_of_the_name_or_of_the_item() -> None:
    root = parse("a:\n  b:\n    - x\n    - y\n  c: |\n    z\n", "f.yaml")

    a = root.content["a"]  # type: ignore[index, call-overload]
    assert [a.place, a.content["b"].place, a.content["c"].place] == ["f.yaml:1", "f.yaml:2", "f.yaml:5"]
    assert [item.place for item in a.content["b"].content] == ["f.yaml:3", "f.yaml:4"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", r'^f:3: "a" is given twice, first at f:1$'),
        ("a:\n  b: 1\n  b: 2", r'^f:3: "b" is given twice, first at f:2$'),
        ("a: *b", r"^f:1: not YAML: .*own signs"),
        ("a: &b c", r"^f:1: not YAML: .*own signs"),
        ("\na: !!str c", r"^f:2: not YAML: .*own signs"),
        ("a: [1, 2", r"^f:1: not YAML: while parsing a flow sequence \(line 1\), expected ',' or '\]'"),
        ("a: b: c", r"^f:1: not YAML: mapping values are not allowed here$"),
        ("a: @b", r"^f:1: not YAML: .*found character '@' that cannot start any token$"),
        (
            "a: 1\n---\nb: 2",
            r"^f:2: not YAML: expected a single document .*line 1\), but found another document$",
        ),
        ("a:\n\tb: 1", r"^f:2: not YAML: .*found character '\\t'"),
        ("? [a]\n: b", r"^f:1: a setting's name must be a text$"),
        ("a: \x00", r"^f holds characters that YAML doesn't allow$"),
        ("[" * 9_000, r"^f is nested too deeply$"),
    ],
)
def test_what_is_no_tree_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse(text, "f")


@given(st.text() | st.text(alphabet="ab:-[]{}'\"&*!|>%@#?, \n"))
def test_any_text_is_a_tree_or_a_usage_error(text: str) -> None:
    try:
        parse(text, "f")
    except UsageError as error:
        assert str(error).startswith("f")  # noqa: PT017 (most texts are no error)


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes("a: ü".encode("latin-1"))

    with pytest.raises(UsageError, match=r"r\.yaml is not UTF-8 \(at byte 3\)"):
        read(path)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cant_be_read_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^can't read /.*: (No such file|Is a directory)") as refused:
        read(tmp_path / name)

    assert "-c" in refused.value.hint


def test_a_node_doesnt_show_its_content() -> None:
    assert "hunter2" not in repr(parse("password: hunter2", "f"))
