"""The findings inside a result object: whole and exact, for whoever reads it back.

Codes and sentences are for people and for other software; they round, and leave out what no code
says. So every report and segmentation also carries the findings JSON in a private attribute, which
viewers do not show. What took how long is left out: the same UID must mean the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import replace

from pydicom import Dataset

from sifdetect.findings import StudyFindings, from_json, to_json

GROUP = 0x0099
CREATOR = "SIFDETECT FINDINGS 1"
ELEMENT = 0x01


def carry(dataset: Dataset, findings: StudyFindings) -> Dataset:
    """Write the findings into ``dataset`` as JSON in ASCII (UT), and return it."""
    document = to_json(replace(findings, timings_s={}))
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(ELEMENT, "UT", text)
    return dataset


def carried(dataset: Dataset) -> StudyFindings | None:
    """The findings that ``dataset`` carries; None where it carries none.

    Raises:
        ValueError: what it carries is damaged, or of another schema version.
    """
    try:
        text = dataset.private_block(GROUP, CREATOR)[ELEMENT].value
    except KeyError:
        return None
    if isinstance(text, bytes):  # an archive that forgot the VR hands it back as UN
        text = text.rstrip(b"\0 ").decode("ascii")
    try:
        return from_json(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
