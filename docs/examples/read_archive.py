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


def piece(folder, revision):
    """Return what holds the segment after *revision*: the merged object that reaches farthest, if any."""
    merged = [
        path
        for path in (folder / "merged").glob("*.jsonl.zst")
        if int(path.name[:20]) <= revision < int(path.name[21:41])
    ]
    small = folder / f"log/{revision:020d}.jsonl.zst"
    return max(merged, key=lambda path: path.name[21:41], default=small)


def segments(path):
    """Yield the segments of an object: the revision that each starts after, its lines, footer and SHA-256."""
    header, lines, footer, digest = read(path)
    after, events = header["revision"], []
    if header["kind"] == "segment":
        yield after, lines, footer, digest
        return
    for line in lines:
        if line.startswith(b'{"segment":'):
            closing = json.loads(line)
            yield after, events, closing["footer"], closing["segment"]
            after, events = closing["footer"]["last_revision"], []
        else:
            events.append(line)


def newest_snapshot(folder, wanted):
    """Return the revision and the path of the newest snapshot of the epoch in *folder* up to *wanted*."""
    epoch = json.loads((folder / "epoch.json").read_bytes())
    found = {int(path.name[:20]): path for path in (folder / "snapshots").glob("*Z.jsonl.zst")}
    if (base := folder.parent / epoch["snapshot"]).exists():
        found[epoch["base"]] = base
    kept = [number for number in found if epoch["base"] <= number <= wanted]
    if not kept:
        sys.exit(f"nothing is kept up to revision {wanted}")
    return max(kept), found[max(kept)]


def restore(folder, wanted):
    """Return the state of the epoch in *folder* at revision *wanted*: key -> value and four numbers."""
    revision, path = newest_snapshot(folder, wanted)
    _, lines, footer, digest = read(path)
    state, anchor = {}, footer["segment"] or digest
    for line in lines:
        put(state, line)
    prove(state, footer, path)
    while revision < wanted and (path := piece(folder, revision)).exists():
        for after, lines, footer, digest in segments(path):
            if after < revision or revision >= wanted:
                continue
            if after != revision or footer["previous"] != anchor:
                sys.exit(f"{path} doesn't continue what is before it")
            answer = state
            for line in lines:
                if parse(line)[0]["mod_revision"] > wanted and answer is state:
                    answer = dict(state)
                put(state, line)
            prove(state, footer, path)
            revision, anchor, state = footer["last_revision"], digest, answer
    thinned = max((int(path.name[:20]) for path in (folder / "pruned").glob("*.json")), default=0)
    if footer["through_revision"] < wanted and revision < thinned:
        sys.exit(f"revision {wanted} was thinned by retention: {revision} is kept before it")
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
