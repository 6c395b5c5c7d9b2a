"""Faults of every kind happen to real servers and processes for some seconds; nothing is lost or wrong.

`FAULT_SEED=n FAULT_SECONDS=s pytest tests/faults` runs another seed, or for longer; `make soak` runs many.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from faults.run import Plan, played

if TYPE_CHECKING:
    from pathlib import Path

    from servers.ceph import Rgw
    from servers.moto import S3Server

SEED = int(os.environ.get("FAULT_SEED", "1"))
SECONDS = float(os.environ.get("FAULT_SECONDS", "5"))
PACE = 0.5


def test_in_a_directory(tmp_path: Path, etcd_binary: Path) -> None:
    holds(Plan(SEED, SECONDS, tmp_path, etcd_binary, replicas=2, pace=PACE))


def test_in_a_bucket_and_with_three_etcds(tmp_path: Path, etcd_binary: Path, s3_server: S3Server) -> None:
    holds(Plan(SEED, SECONDS, tmp_path, etcd_binary, s3_server, is_cluster=True, replicas=2, pace=PACE))


@pytest.mark.ceph
def test_in_a_bucket_of_cephs(tmp_path: Path, etcd_binary: Path, rgw: Rgw) -> None:
    holds(Plan(SEED, 5 * SECONDS, tmp_path, etcd_binary, rgw))


def holds(plan: Plan) -> None:
    """Do the run; fail unless nothing is lost and nothing wrong."""
    outcome = played(plan)
    verdict = outcome.verdict
    assert verdict.is_good, f"{plan}: {verdict}; see {plan.folder}"
    assert outcome.faults
    assert verdict.restores
