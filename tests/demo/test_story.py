"""The story hangs together: its times rise, and its moments lie where they say."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from replicator.demo.admin_api import Delete, key_of
from replicator.demo.certificate import self_signed
from replicator.demo.story import HOST, TOUCHED, Mood, day, moments

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = day("certificate", "private key")


def test_times_rise() -> None:
    times = [step.at for step in DAY]
    assert times == sorted(times)


def test_nothing_is_deleted_that_is_not_there() -> None:
    live: set[bytes] = set()
    for write in (write for step in DAY for write in step.writes):
        if isinstance(write, Delete):
            live.remove(key_of(write))
        else:
            live.add(key_of(write))
    assert {f"/apisix/{part.section}/{part.name}".encode() for part in TOUCHED} <= live


def test_the_moments_part_the_day_into_before_the_mistake_the_mistake_and_the_repair() -> None:
    before, during, after = moments(DAY)
    assert {step.mood for step in DAY[: before.steps]} == {Mood.WORK}
    assert {step.mood for step in DAY[before.steps : during.steps]} == {Mood.MISTAKE}
    assert {step.mood for step in DAY[during.steps : after.steps]} == {Mood.REPAIR}
    assert {step.mood for step in DAY[after.steps :]} == {Mood.WORK}
    for moment in (before, during, after):
        assert DAY[moment.steps - 1].at < moment.at <= DAY[moment.steps].at


def test_the_certificate_is_real() -> None:
    certificate_pem, key_pem = self_signed(HOST, NOW)
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    certificate.verify_directly_issued_by(certificate)
    assert load_pem_private_key(key_pem.encode(), None).public_key() == certificate.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    assert certificate.not_valid_before_utc == NOW
