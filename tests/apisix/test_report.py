"""How keys stand in a report."""

from __future__ import annotations

from replicator.apisix import Options, render


def test_keys_that_are_no_utf8_stay_apart() -> None:
    keys = [b"\xff", b"base64:/w==", b"/w==", "ÿ".encode()]
    ignored = render([(key, b"") for key in keys], Options()).report.ignored
    assert len(set(ignored)) == len(keys)
    assert "/w==" in ignored
    assert "ÿ" in ignored
