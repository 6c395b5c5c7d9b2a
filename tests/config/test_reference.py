"""The reference of all settings is what docs/configuration.md says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from replicator.config import load
from replicator.config.keys import known
from replicator.config.reference import reference

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_the_reference() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

    assert reference() == page, "python -m replicator.config > docs/configuration.md"


def test_each_setting_has_a_row_with_a_description() -> None:
    rows = dict(re.findall(r"^\| `(\S+)` \|.*\| (.+) \|$", reference(), re.MULTILINE))

    assert list(known()) == list(rows)
    assert all(description.endswith(".") for description in rows.values())


def test_each_default_is_written_as_the_setting_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", reference(), re.MULTILINE)

    for name, default in rows:
        section, _, key = name.partition(".")
        path.write_text(f"{section}:\n  {key}: {default if default[0] == '[' else repr(default)}\n")
        assert load(None, {}) == load(path, {}), name
    assert len(rows) >= 8


def test_importing_the_settings_imports_no_driver() -> None:
    heavy = {"boto3", "botocore", "grpc", "etcd3", "rich", "click", "structlog", "cryptography"}
    code = f"import sys, replicator.config; print(*{heavy} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT).split() == []
