"""For whom a result is made, when, and by what: the attributes that all results share.

Patient and study attributes are copied from the source and never invented: what the source leaves
out or spells wrongly stays empty. Dates are the source's too. A result has a deterministic UID, and
the same UID must mean the same bytes; so its content date is when the last image that it speaks of
was made, not when the computer got round to it (that is in ``findings.json``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from highdicom import ContributingEquipment
from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement

from sifdetect.dicom.codes import PROCESSING_EQUIPMENT, declare_schemes
from sifdetect.dicom.uids import algorithm_parts, result_uid
from sifdetect.findings import Algorithm

MANUFACTURER = "sifdetect project"
STATEMENT = "Research use only. Not a diagnosis: every statement needs a radiologist."

_NO_DATE, _NO_TIME = "19000101", "000000"
_TYPE_2 = (  # PS3.3 C.7.1.1, C.7.2.1: must be there, may be empty
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
_VALID = {  # PS3.5 Table 6.2-1 (DA, TM); PS3.3 C.7.1.1 (Patient's Sex)
    "PatientBirthDate": re.compile(r"\d{8}|"),
    "StudyDate": re.compile(r"\d{8}|"),
    "StudyTime": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?|"),
    "PatientSex": re.compile(r"[MFO]|"),
}
_MADE = (  # the first pair that is filled says when an image was made
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


@dataclass(frozen=True)
class Moment:
    """A DICOM date (YYYYMMDD) and time (HHMMSS)."""

    date: str
    time: str


def header_of(dataset: Dataset) -> Dataset:
    """A source's attributes, in a dataset that may be changed; type 2 attributes are filled in.

    Private attributes, pixel data, empty attributes and values that cannot be read are left out.
    The standard's spelling is enforced on dates, times and sex, and a clinical trial is named whole
    or not at all, because half of it would make the result invalid.
    """
    header = Dataset()
    for tag in sorted(dataset.keys()):
        if not tag.is_private and tag.group < 0x7FE0:
            element = _readable(dataset, tag)
            if element is not None and not element.is_empty:
                header.add(copy(element))  # setting a shared one would change the source
    for keyword in _TYPE_2:
        value = str(header.get(keyword) or "")
        if keyword not in header or not _VALID.get(keyword, re.compile(".*")).fullmatch(value):
            setattr(header, keyword, "")
    if not _names_its_trial(header):
        for element in [one for one in header if one.keyword.startswith("ClinicalTrial")]:
            del header[element.tag]
    return header


def nameless(header: Dataset) -> Dataset:
    """The header without the patient's name and the character set, for the library.

    It prints unusual names aloud, and does not know the empty first value with which Japanese
    character sets begin (PS3.3 C.12.1.1.2). ``finish`` writes both into the result; a name never
    reaches a log.
    """
    copied = Dataset()
    for element in header:
        copied.add(copy(element))
    copied.PatientName = ""
    copied.pop("SpecificCharacterSet", None)
    return copied


def _names_its_trial(header: Dataset) -> bool:
    """True where the type 1 attributes of the Clinical Trial Subject module are there (C.7.1.3)."""
    subject = ("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID")
    named = "ClinicalTrialSponsorName" in header and "ClinicalTrialProtocolID" in header
    return named and any(keyword in header for keyword in subject)


def _readable(dataset: Dataset, tag: int) -> DataElement | None:
    try:
        return dataset[tag]
    except (ValueError, TypeError, NotImplementedError):
        return None  # a value that its own VR forbids: nothing a result could copy


def moment_of(datasets: Iterable[Dataset]) -> Moment:
    """When the last of the images was made; 1900-01-01 where no image carries a date."""
    made = sorted(_made(dataset) for dataset in datasets)
    date, time = made[-1] if made else ("", "")
    return Moment(date or _NO_DATE, time or _NO_TIME)


def _made(dataset: Dataset) -> tuple[str, str]:
    for date_keyword, time_keyword in _MADE:
        date = str(dataset.get(date_keyword) or "")
        if re.fullmatch(r"\d{8}", date):
            time = re.match(r"\d{6}", str(dataset.get(time_keyword) or ""))
            return date, time.group() if time else ""
    return "", ""


def written(text: str, header: Dataset) -> str:
    """``text`` as the source's Specific Character Set (0008,0005) can write it.

    Our own words are ASCII; series descriptions and error messages may hold more than the
    character set of the report does. What does not fit is spelt out or becomes a question mark.
    """
    plain = text.translate(_SPELLED)
    names = header.get("SpecificCharacterSet") or ""
    first = str(names) if isinstance(names, str) else str(names[0] or "")
    encoding = str(python_encoding.get(first, "ascii") if first else "ascii")
    return plain.encode(encoding, "replace").decode(encoding)


_SPELLED = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "…": "...",
        "×": "x",
        "°": " deg",
        "±": "+/-",
        "≥": ">=",
        "≤": "<=",
        "²": "2",
        "³": "3",
        "µ": "u",
        "λ": "lambda",
        "→": "->",
        "\\": "/",  # the backslash separates values (PS3.5 6.2)
    }
)


def described(what: str, header: Dataset) -> str:
    """Series Description (0008,103E, at most 64 characters) of a result of one series.

    It begins with the name of that series: viewers list results in a narrow column, and a study has
    as many segmentations as analysed series. The name is the source's, in its own character set.
    """
    name = str(header.get("SeriesDescription") or "").strip()
    if not name:
        return f"SIF-like findings, {what} (research)"
    tail = f", {what} (research)"
    return f"SIF on {name[: 64 - len('SIF on ' + tail)]}{tail}"


def serial_number(algorithm: Algorithm) -> str:
    """Device Serial Number (0018,1000): changes with the version and with any bundle's weights."""
    return result_uid("serial", *algorithm_parts(algorithm)).removeprefix("2.25.")[:16]


def equipment(algorithm: Algorithm) -> dict[str, Any]:
    """The Enhanced General Equipment module (PS3.3 C.7.5.2), as the library's classes take it."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": algorithm.name,
        "software_versions": algorithm.version,
        "device_serial_number": serial_number(algorithm),
    }


def device_uid(algorithm: Algorithm) -> str:
    """Device Observer UID: a device of its own for each set of weights, as IHE AIR asks."""
    return result_uid("device", *algorithm_parts(algorithm))


def finish(result: Dataset, header: Dataset, *, algorithm: Algorithm, moment: Moment) -> Dataset:
    """Write what all results share into ``result``: name, character set, equipment, dates, schemes.

    Returns ``result`` itself, without the attributes that would tell when it was computed.
    """
    if "SpecificCharacterSet" in header:
        result.SpecificCharacterSet = header.SpecificCharacterSet
    result.PatientName = header.PatientName
    result.Manufacturer = MANUFACTURER
    result.ManufacturerModelName = algorithm.name
    result.SoftwareVersions = algorithm.version
    result.DeviceSerialNumber = serial_number(algorithm)
    result.ContributingEquipmentSequence = [
        *(result.get("ContributingEquipmentSequence") or []),
        *contributions(algorithm),
    ]
    for item in result.ContributingEquipmentSequence:
        item.pop("ContributionDateTime", None)  # the library writes the clock's time
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in result:
            delattr(result, keyword)
    result.SeriesDate = result.ContentDate = moment.date
    result.SeriesTime = result.ContentTime = moment.time
    declare_schemes(result)
    return result


def contributions(algorithm: Algorithm) -> Sequence[Dataset]:
    """One Contributing Equipment item a bundle, with the SHA-256 of its weights as serial number.

    Source: PS3.3 C.12.1 (SOP Common); IHE Radiology, AI Results.
    """
    items = []
    for name, checksum in sorted(algorithm.bundles.items()):
        item = ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=PROCESSING_EQUIPMENT,
            manufacturer_model_name=name[:64],
            software_versions=algorithm.version,
            device_serial_number=checksum[:64],
            contribution_description=f"Model bundle {name}, SHA-256 {checksum}"[:1024],
        )
        item.DeviceUID = result_uid("device", name, checksum)
        items.append(item)
    return items
