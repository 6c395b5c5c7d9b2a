"""Fuzz each target for some minutes, guided by coverage: ``make fuzz MINUTES=n``, which installs atheris.

    PYTHONPATH=tests python -m fuzzing MINUTES [TARGET]...

Each target has a process of its own, and a corpus in the folder .fuzz that the next call goes on from. What
fails goes to tests/fuzzing/found/, where the tests try it again from then on.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["replicator"]):
    from fuzzing.targets import TARGETS, yaml_target
from fuzzing.mutate import TOKENS
from servers.lua import Lyaml

CORPUS = Path(".fuzz")
FOUND = Path(__file__).parent / "found"


def fuzz(name: str, seconds: int) -> None:
    """Fuzz the target *name* in this process, which ends with it."""
    target = yaml_target(Lyaml()) if name == "yaml" else next(one for one in TARGETS if one.name == name)
    corpus, words = CORPUS / name, CORPUS / f"{name}.words"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    words.write_text("".join(map(_word, TOKENS)))

    def check(data: bytes) -> None:
        try:
            target.check(data)
        except BaseException:
            (FOUND / name).mkdir(parents=True, exist_ok=True)
            (FOUND / name / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            raise

    limits = [f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=4096", "-max_len=16384"]
    atheris.Setup([sys.argv[0], str(corpus), f"-dict={words}", *limits, "-print_final_stats=1"], check)
    atheris.Fuzz()


def _word(token: bytes) -> str:
    """Return *token* as a line of a fuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in token[:60]) + '"\n'


def main(minutes: float, *names: str) -> int:
    """Fuzz the targets of those *names*, or all; return 1 if anything was found."""
    failed = []
    for name in names or [*(target.name for target in TARGETS), "yaml"]:
        print(f"== {name}, {minutes:g} minutes", flush=True)  # noqa: T201 (a script)
        command = [sys.executable, "-m", "fuzzing", "--one", name, str(round(minutes * 60))]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"found something in: {', '.join(failed)}" if failed else "found nothing")  # noqa: T201
    return bool(failed)


if sys.argv[1] == "--one":
    fuzz(sys.argv[2], int(sys.argv[3]))
else:
    sys.exit(main(float(sys.argv[1]), *sys.argv[2:]))
