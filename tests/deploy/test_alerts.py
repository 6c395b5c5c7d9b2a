"""The alert rules: promtool's judgement, an entry in the runbook for each, and metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from replicator.telemetry.metrics import METRICS, PREFIX

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
NAMES = {
    PREFIX + metric.name + series
    for metric in METRICS
    for series in (("_bucket", "_count", "_sum") if metric.type == "histogram" else ("",))
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Return promtool, of the distribution's Prometheus."""
    command = [sys.executable, ROOT / "tools/fetch", "prometheus"]
    folder = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return Path(folder) / "promtool"


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts-test.yaml")])
def test_promtool_takes_the_rules(promtool: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_asks_otherwise_fails_the_cases(promtool: Path, tmp_path: Path) -> None:
    """The cases are good for something: each rule, turned round, is noticed."""
    for name in ("alerts.yaml", "alerts-test.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text(encoding="utf-8"))
    text = (tmp_path / "alerts.yaml").read_text(encoding="utf-8")
    for rule in RULES:
        other = text.replace(f"expr: {rule['expr']}\n", "expr: vector(0) > 1\n")
        assert other != text, rule["alert"]
        (tmp_path / "alerts.yaml").write_text(other)
        done = subprocess.run(
            [promtool, "test", "rules", "alerts-test.yaml"], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode != 0, rule["alert"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_has_its_entry_and_metrics_that_there_are(rule: dict[str, Any]) -> None:
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    severity = rule["labels"]["severity"]
    assert severity in ("page", "ticket")
    assert f"\n## {rule['alert']}\n\n*{severity}.* " in page
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    used = set(re.findall(r"replicator_\w+", rule["expr"]))
    assert used
    assert used <= NAMES


def test_the_runbook_has_no_entry_for_nothing() -> None:
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def _queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_dashboard_asks_for_metrics_that_there_are(promtool: Path, tmp_path: Path) -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    queries = _queries(dashboard)
    assert len(queries) > 15
    assert {name for query in queries for name in re.findall(r"replicator_\w+", query)} <= NAMES
    # promtool's judgement of the language: each query as a recording rule
    rules = [{"record": f"query:{place}", "expr": query} for place, query in enumerate(queries)]
    path = tmp_path / "queries.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}).replace("$archive", ".*"))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_panels_have_words_and_do_not_overlap() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert all(panel["title"] and panel["description"] for panel in panels)
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_composed_monitoring_fits_together(promtool: Path, tmp_path: Path) -> None:
    compose = ROOT / "compose"
    texts = [
        (compose / name).read_text(encoding="utf-8") for name in ("compose.yaml", "monitoring/compose.yaml")
    ]
    for text in texts:
        compose_spec.PyCompose.from_yaml(text)
    own, other = map(yaml.safe_load, texts)
    places = {
        mount.split(":")[1]: (compose / mount.split(":")[0]).resolve()
        for service in other["services"].values()
        for mount in service["volumes"]
        if mount.startswith(".")
    }
    assert all(path.is_file() for path in places.values()), places
    for inside in ("/etc/prometheus/prometheus.yaml", "/etc/prometheus/alerts.yaml"):
        shutil.copy(places[inside], tmp_path)
    command = [promtool, "check", "config", tmp_path / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load(places["/etc/prometheus/prometheus.yaml"].read_text(encoding="utf-8"))
    ((target,),) = [each["targets"] for each in config["scrape_configs"][0]["static_configs"]]
    host, _, port = target.partition(":")
    settings = yaml.safe_load((compose / "replicator.yaml").read_text(encoding="utf-8"))
    assert host in own["services"]
    assert settings["metrics"]["listen"].endswith(f":{port}")
    provider = yaml.safe_load(places["/etc/grafana/provisioning/dashboards/replicator.yaml"].read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert f"{folder}/replicator.json" in places
