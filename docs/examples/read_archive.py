"""Read a replicator archive without replicator: print every key at a revision, a line of JSON each.

    python3 read_archive.py DIRECTORY EPOCH REVISION

It knows nothing of replicator's code; ../format.md explains each step. It needs Python 3.14, or an older one
with the package backports.zstd.
"""

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

try:
    from compression import zstd
except ImportError:
    from backports import zstd


def read(path):
    """Return an object's header, its lines between header and footer, its footer, and its SHA-256."""
    body = path.read_bytes()
    frame, trailer = body[:-40], body[-40:]
    if trailer != bytes.fromhex("5e2a4d1820000000") + hashlib.sha256(frame).digest():
        sys.exit(f"{path} is damaged")
    header, *lines, footer = zstd.decompress(frame).rstrip(b"\n").split(b"\n")
    return json.loads(header), lines, json.loads(footer), trailer[8:].hex()


def parse(line):
    """Return a line's members but for the value, and the value's exact bytes."""
    head, inline, rest = line.partition(b',"value":')
    members = json.loads(head + b"}" if inline else line)
    text = members.get("value_text")
    encoded = base64.b64decode(members.get("value_base64", "")) if text is None else text.encode()
    return members, rest[:-1] if inline else encoded


def put(state, line):
    """Set in *state* what a line of a snapshot, or a put of a segment, says."""
    members, value = parse(line)
    key = members["key"].encode() if "key" in members else base64.b64decode(members["key_base64"])
    if members.get("op") == "delete":
        del state[key]
    else:
        numbers = ("create_revision", "mod_revision", "version", "lease")
        state[key] = (value, *(members[name] for name in numbers))
    return members["mod_revision"]


def prove(state, footer, path):
    """End unless *state* has the digest that the footer states."""
    total = 0
    for key, (value, *numbers) in state.items():
        text = struct.pack(">Iqqqq", len(key), *numbers) + key + value
        total += int.from_bytes(hashlib.sha256(text).digest(), "big")
    if f"{total % 2**256:064x}" != footer["state_digest"]:
        sys.exit(f"{path}: the state's digest differs")


def restore(folder, wanted):
    """Return the state of the epoch in *folder* at revision *wanted*: key -> value and four numbers."""
    epoch = json.loads((folder / "epoch.json").read_bytes())
    found = {int(path.name[:20]): path for path in (folder / "snapshots").glob("*Z.jsonl.zst")}
    found[epoch["base"]] = folder.parent / epoch["snapshot"]
    revision = max(number for number in found if epoch["base"] <= number <= wanted)
    _, lines, footer, digest = read(found[revision])
    state, anchor = {}, footer["segment"] or digest
    for line in lines:
        put(state, line)
    prove(state, footer, found[revision])
    while revision < wanted and (path := folder / f"log/{revision:020d}.jsonl.zst").exists():
        header, lines, footer, digest = read(path)
        if header["revision"] != revision or footer["previous"] != anchor:
            sys.exit(f"{path} doesn't continue what is before it")
        answer = state
        for line in lines:
            if parse(line)[0]["mod_revision"] > wanted and answer is state:
                answer = dict(state)
            put(state, line)
        prove(state, footer, path)
        revision, anchor, state = footer["last_revision"], digest, answer
    return state


def show(name, raw):
    """Return the member of a line that holds *raw*: text, or base64 where it is none."""
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw).decode()}


for key, (value, create, mod, version, lease) in sorted(
    restore(Path(sys.argv[1]) / f"e{int(sys.argv[2]):08d}", int(sys.argv[3])).items()
):
    numbers = {"create_revision": create, "mod_revision": mod, "version": version, "lease": lease}
    print(json.dumps(show("key", key) | show("value", value) | numbers))
