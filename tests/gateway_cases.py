"""States whose file and report are written out by hand, and the check that a rendering is as they say."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from gateway_values import lua, substituted_after_parsing

from replicator.apisix import DEFAULT_KEYRING, Options, render

if TYPE_CHECKING:
    from collections.abc import Callable

HELD, NOT_HELD = True, False


def encrypted(plain: bytes, key: bytes = DEFAULT_KEYRING[1]) -> str:
    """Return *plain* as a control plane stores it; by default with the second key of APISIX's own."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


@dataclass
class Case:
    """A state below the prefix, and what the YAML file and the report must say.

    `refused` maps a key to whether a gateway holds the item. A value that is no text is dumped as JSON.
    """

    state: dict[str, Any]
    file: dict[str, Any]
    refused: dict[str, bool] = field(default_factory=dict)
    inexact: set[str] = field(default_factory=set)
    stripped: dict[str, list[str]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)

    def check(self, lyaml: Callable[[bytes], Any]) -> None:
        """Render the state in both styles, and compare. What the report says must be short and printable."""
        items = [(f"/apisix/{key}".encode(), _bytes(value)) for key, value in self.state.items()]
        options = Options(**self.options)
        for style in ("flow", "block"):
            rendering = render(items, options, style=style)  # type: ignore[arg-type]
            report = rendering.report
            read = lyaml(b"".join(rendering.chunks()))
            assert lua(read if options.substitutes_in_text else substituted_after_parsing(read)) == lua(
                self.file
            )
            assert {
                _below(refusal.key): refusal.held_by_gateway for refusal in report.refused
            } == self.refused
            assert sorted(_below(entry.key) for entry in report.inexact) == sorted(self.inexact)
            assert {_below(entry.key): list(entry.plugins) for entry in report.stripped} == self.stripped
            assert set(map(_below, report.ignored)) == self.ignored
        said = [refusal.reason for refusal in report.refused] + [entry.why for entry in report.inexact]
        assert all(text.isprintable() and len(text) < 300 for text in said)
        assert not any(encrypted(plain) in text for text in said for plain in (b"k", b"a\0b", b"\xff"))


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _below(key: str) -> str:
    return key.removeprefix("/apisix/")
