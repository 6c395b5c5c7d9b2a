"""The judges themselves: that they answer, and that they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from servers.lua import LyamlRefused

if TYPE_CHECKING:
    from collections.abc import Callable


def test_lyaml_reads_what_nests_deep(lyaml: Callable[[bytes], Any]) -> None:
    text = b"[" * 950 + b"7" + b"]" * 950
    document = lyaml(text)
    for _ in range(950):
        (document,) = document
    assert document == 7


def test_lyaml_refuses_in_its_own_words(lyaml: Callable[[bytes], Any]) -> None:
    with pytest.raises(LyamlRefused, match="unexpected end of stream"):
        lyaml(b"a: 'unfinished")
