"""Whose images these are, and of when: enough to tell two patients and two dates apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError


@dataclass(frozen=True)
class Identity:
    """Patient and time of a study; empty where the source does not say.

    Attributes:
        patient_id: (0010,0020).
        issuer: Issuer of Patient ID (0010,0021).
        name: (0010,0010), letters and digits alone, upper case.
        birth_date: (0010,0030).
        day: Study Date (0008,0020).
        time: Study Time (0008,0030), HHMMSS.
    """

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    day: date | None = None
    time: str = ""

    def same_patient(self, other: Identity) -> bool | None:
        """None where neither IDs nor name and date of birth of both are known.

        Patient IDs of two issuers say nothing about each other. Equal IDs with two dates of birth
        are two patients: an ID of one hospital may be anybody's in the next.
        """
        if self.birth_date and other.birth_date and self.birth_date != other.birth_date:
            return False
        known = self.patient_id and other.patient_id
        if known and (self.issuer == other.issuer or not (self.issuer and other.issuer)):
            return self.patient_id == other.patient_id
        if self.birth_date and other.birth_date and self.name and other.name:
            return self.name == other.name
        return None

    def before(self, other: Identity) -> bool | None:
        """True where this study is not later than the other; None where a date is missing."""
        if self.day is None or other.day is None:
            return None
        if self.day != other.day or not (self.time and other.time):
            return self.day <= other.day
        return self.time <= other.time


def identity_of(dataset: Dataset) -> Identity:
    """What an instance says of its patient and its study."""
    text = {word: str(dataset.get(word) or "").strip() for word in _WORDS}
    return Identity(
        patient_id=text["PatientID"].upper(),
        issuer=text["IssuerOfPatientID"].upper(),
        name=re.sub(r"[\W_]+", "", text["PatientName"]).upper(),
        birth_date=text["PatientBirthDate"],
        day=_day(text["StudyDate"]),
        time=text["StudyTime"][:6] if text["StudyTime"][:6].isdigit() else "",
    )


def identity_in(folder: Path) -> Identity | None:
    """What the result objects in a folder that ``analyze`` wrote say; None where there are none."""
    for path in sorted(folder.glob("*.dcm")):
        try:
            return identity_of(dcmread(path, specific_tags=list(_WORDS), stop_before_pixels=True))
        except (InvalidDicomError, OSError):
            continue
    return None


_WORDS = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyDate",
    "StudyTime",
)


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None
