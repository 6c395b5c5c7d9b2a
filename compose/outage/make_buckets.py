"""Make the buckets that a settings file names; wait for their service until it answers.

python make_buckets.py SETTINGS
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import boto3
from botocore.config import Config

from replicator.config import load


def make_buckets(settings: Path) -> None:
    """Make each bucket that isn't there yet."""
    chosen = load(settings, os.environ)
    s3 = chosen.s3
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key and s3.access_key.reveal(),
        aws_secret_access_key=s3.secret_key and s3.secret_key.reveal(),
        config=Config(
            connect_timeout=2,
            retries={"mode": "standard", "total_max_attempts": 10},
            s3={"addressing_style": "path" if s3.use_path_style else "auto"},
        ),
    )
    for archive in (chosen.archive, chosen.instance.archive):
        if archive is not None and archive.bucket:
            try:
                client.create_bucket(Bucket=archive.bucket)
                print(f"made {archive.bucket}")
            except client.exceptions.BucketAlreadyOwnedByYou:
                print(f"{archive.bucket} is there")


if __name__ == "__main__":
    make_buckets(Path(sys.argv[1]))
