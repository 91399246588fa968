"""Every code that results carry. Private ones only where no standard one exists.

Standard codes were looked up in PS3.16 (by way of pydicom's dictionaries) and in ICD-10-CM; each
private code names the standard codes that were looked for and why none of them says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sr.coding import Code

from sifdetect.anatomy import DenisZone, SacralLevel, Side
from sifdetect.findings import BakkerType, FfpType, Morphology, Presence

SCHEME = "99SIFDETECT"
SCHEME_UID = "2.25.258830958154212129533809043980547163725"
_ICD10CM = "I10C"
_DESIGNATOR = 0x00080102
_FRAMES = 0x52009230  # Per-Frame Functional Groups Sequence
_ICD10CM_UID = "2.16.840.1.113883.6.90"

# Anatomy
SACRUM = Code("54735007", "SCT", "Sacrum")
L5 = Code("49668003", "SCT", "L5 vertebra")
LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
VERTEBRAL_CANAL = Code("61853006", "SCT", "Vertebral canal")
ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
BONE_MARROW = Code("14016003", "SCT", "Bone Marrow")
LATERALITY = {
    Side.RIGHT: Code("24028007", "SCT", "Right"),
    Side.LEFT: Code("7771000", "SCT", "Left"),
    Side.MIDLINE: Code("51440002", "SCT", "Bilateral"),
}
"""There is a code for the left half of the sacrum (736830008) and none for the right half."""

# Findings
INSUFFICIENCY_FRACTURE = Code("702561005", "SCT", "Insufficiency fracture")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
PRESENCE = {
    Presence.PRESENT: Code("52101004", "SCT", "Present"),
    Presence.ABSENT: Code("272519000", "SCT", "Absent"),
    Presence.INDETERMINATE: Code("82334004", "SCT", "Indeterminate"),
}
INDETERMINATE = PRESENCE[Presence.INDETERMINATE]
COVERAGE_INCOMPLETE = Code("130576", "DCM", "Anatomy coverage incomplete")
DENIS_ZONE = {
    DenisZone.ALAR: Code("S32.11", _ICD10CM, "Zone I fracture of sacrum"),
    DenisZone.FORAMINAL: Code("S32.12", _ICD10CM, "Zone II fracture of sacrum"),
    DenisZone.CENTRAL: Code("S32.13", _ICD10CM, "Zone III fracture of sacrum"),
}
"""ICD-10-CM S32.1 codes trauma: it is used as the value of the zone, never as the diagnosis."""
DENIS_SUBTYPE = {
    1: Code("S32.14", _ICD10CM, "Type 1 fracture of sacrum"),
    2: Code("S32.15", _ICD10CM, "Type 2 fracture of sacrum"),
    3: Code("S32.16", _ICD10CM, "Type 3 fracture of sacrum"),
    4: Code("S32.17", _ICD10CM, "Type 4 fracture of sacrum"),
}

# Measurements and units
VOLUME = Code("118565006", "SCT", "Volume")
LENGTH = Code("410668003", "SCT", "Length")
ANGLE = Code("1483009", "SCT", "Angle")
CUBIC_MILLIMETRE = Code("mm3", "UCUM", "cubic millimeter")
MILLIMETRE = Code("mm", "UCUM", "mm")
DEGREE = Code("deg", "UCUM", "Degree")
PERCENT = Code("%", "UCUM", "Percent")

# Documents and their parts
ENGLISH = Code("en", "RFC5646", "English")
REPORT_TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
DEVICE = Code("121007", "DCM", "Device")
RECORDING = Code("121097", "DCM", "Recording")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
COMMENT = Code("121106", "DCM", "Comment")
IMPRESSIONS = Code("121072", "DCM", "Impressions")
IMPRESSION = Code("121073", "DCM", "Impression")
RECOMMENDATIONS = Code("121074", "DCM", "Recommendations")
RECOMMENDATION = Code("121075", "DCM", "Recommendation")
FINDINGS = Code("121070", "DCM", "Findings")
FINDING = Code("121071", "DCM", "Finding")
PROCEDURE_DESCRIPTIONS = Code("121064", "DCM", "Current Procedure Descriptions")
PROCEDURE_DESCRIPTION = Code("121065", "DCM", "Procedure Description")
CONCLUSIONS = Code("121076", "DCM", "Conclusions")
CONCLUSION = Code("121077", "DCM", "Conclusion")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
"""Said of the procedure where the source names none (CID 100 has no plain CT or MR imaging)."""


@dataclass(frozen=True)
class PrivateCode:
    """A code of our own, with the standard codes that were looked for in its place.

    Raises:
        ValueError: the value is longer than Code Value (0008,0100) may be.
    """

    value: str
    meaning: str
    looked_for: str

    def __post_init__(self) -> None:
        if len(self.value) > 16:
            raise ValueError(f"Code Value {self.value!r} is longer than 16 characters")

    @property
    def code(self) -> Code:
        """The code in the project's coding scheme."""
        return Code(self.value, SCHEME, self.meaning)


_NO_DENIS = "ICD-10-CM S32.11-S32.13 name the zones; no SCT, DCM or LN concept names the scheme"
_NO_MORPHOLOGY = "SCT and RADLEX: no concept for the pattern of sacral fracture lines"
_NO_BAKKER = "SCT, RADLEX: no concept for Bakker's classification of the sacrum"
_NO_FFP = "SCT, RADLEX: no concept for fragility fractures of the pelvis (Rommens and Hofmann)"
_NO_FORAMEN = "DCM 121206 Distance does not say to what; SCT 280734009 is the vertebral foramen"
_NO_PART = "SCT, RADLEX: the sacrum and its left half have a code, its parts were not found"
_NO_VOLUME = "SCT 118565006 Volume does not say of what"

PRIVATE = {
    item.value: item
    for item in (
        PrivateCode(
            "SIF-LIKE",
            "Finding like a sacral insufficiency fracture",
            "SCT 702561005 Insufficiency fracture would state the diagnosis; its site is not in it",
        ),
        PrivateCode("DENIS", "Denis zone, highest", _NO_DENIS),
        PrivateCode("DENIS-RIGHT", "Denis zone, right", _NO_DENIS),
        PrivateCode("DENIS-LEFT", "Denis zone, left", _NO_DENIS),
        PrivateCode("DENIS-SUBTYPE", "Denis zone 3 subtype", _NO_DENIS),
        PrivateCode("MORPHOLOGY", "Sacral fracture pattern", _NO_MORPHOLOGY),
        PrivateCode("MORPH-NONE", "No pattern", _NO_MORPHOLOGY),
        PrivateCode("MORPH-UNI", "Unilateral", _NO_MORPHOLOGY + " (SCT 66459002 is laterality)"),
        PrivateCode("MORPH-BI", "Bilateral alae", _NO_MORPHOLOGY + " (SCT 51440002: laterality)"),
        PrivateCode("MORPH-TRANSVERSE", "Transverse", _NO_MORPHOLOGY),
        PrivateCode("MORPH-H", "H pattern", _NO_MORPHOLOGY),
        PrivateCode("MORPH-U", "U pattern", _NO_MORPHOLOGY),
        PrivateCode("MORPH-T", "T pattern", _NO_MORPHOLOGY),
        PrivateCode("MORPH-LAMBDA", "Lambda pattern", _NO_MORPHOLOGY),
        PrivateCode("BAKKER-RIGHT", "Bakker type, right ala", _NO_BAKKER),
        PrivateCode("BAKKER-LEFT", "Bakker type, left ala", _NO_BAKKER),
        PrivateCode("BAKKER-CORPUS", "Bakker type, corpus", _NO_BAKKER),
        *(PrivateCode(f"BAKKER-{t.value}", f"Bakker {t.value}", _NO_BAKKER) for t in BakkerType),
        PrivateCode("FFP", "Fragility fracture of the pelvis, type", _NO_FFP),
        PrivateCode("FFP-AT-LEAST", "Fragility fracture of the pelvis, at least type", _NO_FFP),
        *(PrivateCode(f"FFP-{t.value}", f"FFP {t.value}", _NO_FFP) for t in FfpType),
        *(
            PrivateCode(f"FORAMEN-{s.name}", f"Distance to {s.name} foramen", _NO_FORAMEN)
            for s in SacralLevel
        ),
        PrivateCode(
            "CANAL-DISTANCE",
            "Distance to sacral canal",
            "DCM 121206 Distance does not say to what; SCT: no code for the sacral canal found",
        ),
        PrivateCode(
            "STEP",
            "Posterior wall step",
            "DCM 121206 Distance and 110856 Linear Displacement do not say of what",
        ),
        PrivateCode("EDEMA-VOLUME", "Volume of marrow edema", _NO_VOLUME + " (SCT 79654002)"),
        PrivateCode("SCLEROSIS-VOLUME", "Volume of sclerosis", _NO_VOLUME),
        PrivateCode("SACRAL-BODY", "Sacrum between the foramina", _NO_PART),
        PrivateCode("SACRAL-CORRIDOR", "Foraminal zone of sacrum", _NO_PART),
        PrivateCode("SACRAL-ALA", "Ala of sacrum", _NO_PART),
        PrivateCode("SACRAL-FORAMINA", "Sacral foramina", _NO_FORAMEN.partition("; ")[2]),
        PrivateCode(
            "HIP-BONE",
            "Hip bone",
            "pydicom's dictionaries hold SCT 22356005 Ilium, a part of it, and no innominate bone",
        ),
        PrivateCode(
            "COVERAGE",
            "Coverage of the sacrum",
            "DCM 130576 Anatomy coverage incomplete is the answer, not the question",
        ),
        PrivateCode(
            "RULE",
            "Rule and evidence",
            "DCM 111002 Algorithm Parameters are inputs, not the reason of an answer",
        ),
        PrivateCode(
            "STATEMENT",
            "Statement of use",
            "DCM 113009 For Research is a reason of rejection (CID 7010), not a limit of use",
        ),
    )
}

MORPHOLOGY = {
    Morphology.NONE: PRIVATE["MORPH-NONE"].code,
    Morphology.UNILATERAL: PRIVATE["MORPH-UNI"].code,
    Morphology.BILATERAL: PRIVATE["MORPH-BI"].code,
    Morphology.TRANSVERSE: PRIVATE["MORPH-TRANSVERSE"].code,
    Morphology.H: PRIVATE["MORPH-H"].code,
    Morphology.U: PRIVATE["MORPH-U"].code,
    Morphology.T: PRIVATE["MORPH-T"].code,
    Morphology.LAMBDA: PRIVATE["MORPH-LAMBDA"].code,
    Morphology.INDETERMINATE: INDETERMINATE,
}
BAKKER = {kind: PRIVATE[f"BAKKER-{kind.value}"].code for kind in BakkerType}
FFP = {kind: PRIVATE[f"FFP-{kind.value}"].code for kind in FfpType}


def private(value: str) -> Code:
    """The private code of that value.

    Raises:
        KeyError: there is none.
    """
    return PRIVATE[value].code


def declare_schemes(dataset: Dataset) -> None:
    """Write the Coding Scheme Identification Sequence for the schemes that ``dataset`` uses.

    Only schemes that a reader cannot know from the standard alone are declared.
    Source: PS3.3 C.12.1.1.1 (SOP Common, Coding Scheme Identification Sequence).
    """
    used = set(_schemes(dataset))
    items = [_described(name) for name in (SCHEME, _ICD10CM) if name in used]
    if items:
        dataset.CodingSchemeIdentificationSequence = items


def _schemes(dataset: Dataset) -> Iterator[str]:
    """Of all codes but those of frames, of which there are hundreds, with DICOM's own codes."""
    for element in dataset:
        if element.tag == _DESIGNATOR:
            yield str(element.value)
        elif element.VR == "SQ" and element.tag != _FRAMES:
            for item in element.value:
                yield from _schemes(item)


def _described(scheme: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = scheme
    item.CodingSchemeRegistry = "HL7"
    item.CodingSchemeUID = SCHEME_UID if scheme == SCHEME else _ICD10CM_UID
    if scheme == SCHEME:
        del item.CodingSchemeRegistry  # it is registered nowhere: the UID identifies it
        item.CodingSchemeName = "sifdetect findings"
        item.CodingSchemeVersion = "1"
        item.CodingSchemeResponsibleOrganization = "sifdetect project"
    else:
        item.CodingSchemeName = "ICD-10-CM"
    return item
