"""Unique identifiers of results: the same input and the same models give the same UIDs.

A study that is sent twice then makes a duplicate that an archive recognises, never a second report.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

from pydicom import Dataset

from sifdetect.findings import Algorithm, StudyFindings

_NAMESPACE = UUID("296ddd29-1898-4844-9309-013c13d00797")
_SEPARATOR = "\x1f"


def result_uid(*parts: str) -> str:
    """A UID that depends on ``parts`` alone: ``2.25.`` and a name-based UUID as a number.

    Source: PS3.5 B.2 (UUID derived UID); RFC 9562 section 5.5 (version 5, SHA-1).

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("a result UID needs at least one part")
    return f"2.25.{uuid5(_NAMESPACE, _SEPARATOR.join(parts)).int}"


def algorithm_parts(algorithm: Algorithm) -> tuple[str, ...]:
    """What makes one algorithm another one: name, version, and each bundle's checksum."""
    bundles = (f"{name}={checksum}" for name, checksum in sorted(algorithm.bundles.items()))
    return (algorithm.name, algorithm.version, *bundles)


def findings_parts(findings: StudyFindings) -> tuple[str, ...]:
    """What makes one answer another: study, series used, algorithm, what it is compared with, and
    whether access was asked for."""
    used = sorted(source.series_instance_uid for source in findings.sources if source.used)
    prior = () if findings.comparison is None else (repr(findings.comparison),)
    asked = () if findings.access is None else ("access",)
    return (
        findings.study_instance_uid,
        *used,
        *algorithm_parts(findings.algorithm),
        *prior,
        *asked,
    )


def source_parts(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """What makes one input another one: its study, and the instances whatever their order.

    A study that was pushed in two halves is analysed twice over different instances; the two
    reports differ and so must their UIDs.
    """
    instances = sorted({str(dataset.SOPInstanceUID) for dataset in datasets})
    studies = sorted({str(dataset.StudyInstanceUID) for dataset in datasets})
    return (*studies, *instances)
