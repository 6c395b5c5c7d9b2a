"""The archive's documents: sealed, readable as plain JSON, and never believed when damaged."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from damage import damaged
from generators import moments, numbers
from hypothesis import given
from hypothesis import strategies as st

from replicator.core import documents
from replicator.core.documents import Archive, Checkpoint, Epoch, Follows, Gap, GapAcknowledged
from replicator.core.records import Position
from replicator.errors import ArchiveDamaged, UsageError

words = st.text(max_size=12)
positions = st.builds(Position, st.integers(1, 99), numbers)
follows = st.builds(
    Follows, position=positions, through_revision=numbers, observed_through=moments, segment=words
)
gaps = st.builds(
    Gap, name=words, sha256=words, created=numbers, updated=numbers, deleted=numbers, same_value=numbers
)
archives = st.builds(Archive, format=st.just(1), archive_id=words, prefix=words, created_at=moments)
epochs = st.builds(
    Epoch,
    epoch=st.integers(1, 99),
    reason=words,
    cluster_id=words,
    base=numbers,
    observed_at=moments,
    snapshot=words,
    writer=words,
    follows=st.none() | follows,
    gap=st.none() | gaps,
)
checkpoints = st.builds(
    Checkpoint,
    position=positions,
    through_revision=numbers,
    observed_through=moments,
    writer=words,
    written_at=moments,
)
acknowledgements = st.builds(GapAcknowledged, epoch=st.integers(1, 99), acknowledged_at=moments, note=words)
all_documents = archives | epochs | acknowledgements | checkpoints


@given(all_documents)
def test_a_document_comes_back(document) -> None:
    assert document == documents.decode(type(document), documents.encode(document), "x")


@given(all_documents)
def test_a_foreign_reader_can_verify_it(document) -> None:
    body = documents.encode(document)
    read = json.loads(body)
    assert list(read)[-1] == "sha256"
    assert read["sha256"] == hashlib.sha256(body[: body.rindex(b',"sha256"')]).hexdigest()


@pytest.mark.parametrize("kind", [archives, epochs, checkpoints], ids=["archive", "epoch", "checkpoint"])
@given(data=st.data())
def test_any_damage_is_told(kind, data) -> None:
    document = data.draw(kind)
    for wrong in damaged(documents.encode(document), seed=data.draw(st.integers(0, 1 << 30))):
        with pytest.raises(ArchiveDamaged, match="x is damaged"):
            documents.decode(type(document), wrong, "x")


def sealed(members: dict[str, object]) -> bytes:
    """Return a whole document that says *members*."""
    text = json.dumps(members).encode()[:-1]
    return text + b',"sha256":"' + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def test_a_whole_document_of_another_kind_is_told() -> None:
    with pytest.raises(ArchiveDamaged, match=r"x can't be read: .*archive_id"):
        documents.decode(Archive, sealed({"format": 1}), "x")


@given(archives, st.integers(2, 9))
def test_a_newer_format_asks_for_a_newer_version(archive, format_number) -> None:
    newer = sealed(msgspec.to_builtins(archive) | {"format": format_number})
    with pytest.raises(UsageError, match=f"has format {format_number}"):
        documents.decode(Archive, newer, "x")
