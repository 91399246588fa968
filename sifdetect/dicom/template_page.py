"""``docs/sr-template.md``: the tree of the reports with their codes, from ``codes`` itself.

    python -m sifdetect.dicom.template_page docs/sr-template.md

A test holds the page against what this module makes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.sr.coding import Code

from sifdetect.dicom import codes

Row = tuple[int, str, Code, str]

_TREE: tuple[Row, ...] = (
    (0, "CONTAINER", Code("126000", "DCM", "Imaging Measurement Report"), "TID 1500"),
    (1, "CODE", Code("121049", "DCM", "Language of Content Item and Descendants"), "en, RFC5646"),
    (1, "CODE", Code("121005", "DCM", "Observer Type"), "121007 DCM Device"),
    (2, "…", Code("121012", "DCM", "Device Observer UID"), "TID 1004; changes with the weights"),
    (1, "CODE", codes.PROCEDURE_REPORTED, "as the source codes it"),
    (1, "CONTAINER", Code("111028", "DCM", "Image Library"), "key images alone; not in data"),
    (1, "CONTAINER", Code("126010", "DCM", "Imaging Measurements"), "one group a finding"),
    (2, "CONTAINER", Code("125007", "DCM", "Measurement Group"), "TID 1410 (data: TID 1411)"),
    (3, "TEXT", Code("112039", "DCM", "Tracking Identifier"), "SIF-1 right ala"),
    (3, "UIDREF", Code("112040", "DCM", "Tracking Unique Identifier"), "the segment's too"),
    (3, "CODE", codes.FINDING, "702561005 SCT Insufficiency fracture"),
    (3, "CODE", Code("363698007", "SCT", "Finding Site"), "54735007 SCT; meaning: side and zone"),
    (4, "CODE", Code("272741003", "SCT", "Laterality"), "right, left, bilateral (SCT)"),
    (3, "SCOORD", Code("111030", "DCM", "Image Region"), "closed POLYLINE, 13 to 49 points"),
    (3, "IMAGE", Code("121191", "DCM", "Referenced Segment"), "in data instead of the region"),
    (3, "NUM", codes.VOLUME, "mm3"),
    (3, "NUM", codes.LENGTH, "mm"),
    *((3, "NUM", codes.private(f"FORAMEN-S{n}"), "mm") for n in range(1, 6)),
    (3, "NUM", codes.private("CANAL-DISTANCE"), "mm"),
    (3, "NUM", codes.private("STEP"), "mm"),
    (3, "NUM", codes.ANGLE, "deg"),
    (3, "NUM", codes.private("EDEMA-VOLUME"), "mm3"),
    (3, "NUM", codes.private("SCLEROSIS-VOLUME"), "mm3"),
    (3, "NUM", codes.CERTAINTY, "%"),
    (1, "CONTAINER", codes.QUALITATIVE_EVALUATIONS, "the study as a whole"),
    (2, "CODE", codes.private("SIF-LIKE"), "present, absent, indeterminate (SCT)"),
    *((2, "CODE", codes.private(v), "S32.1x I10C") for v in ("DENIS", "DENIS-RIGHT", "DENIS-LEFT")),
    (2, "CODE", codes.private("DENIS-SUBTYPE"), "S32.14 to S32.17 I10C"),
    (2, "CODE", codes.private("MORPHOLOGY"), "MORPH-…"),
    (2, "CODE", codes.private("BAKKER-RIGHT"), "BAKKER-A1 to C3"),
    (2, "CODE", codes.private("BAKKER-LEFT"), "BAKKER-A1 to C3"),
    (2, "CODE", codes.private("BAKKER-CORPUS"), "BAKKER-A1 to C3"),
    (2, "CODE", codes.private("FFP"), "FFP-…; FFP-AT-LEAST where the ring is not in view"),
    (2, "CODE", codes.private("COVERAGE"), "130576 DCM where incomplete"),
    (2, "TEXT", codes.private("COVERAGE"), "what was in view, level by level"),
    (2, "TEXT", codes.IMPRESSION, "the answer in one sentence"),
    (2, "TEXT", codes.private("RULE"), "each class with rule and evidence"),
    (2, "TEXT", codes.RECOMMENDATION, "what to do next"),
    (2, "TEXT", codes.COMMENT, "other findings and warnings"),
    (2, "TEXT", codes.PROCEDURE_DESCRIPTION, "each series, used or not and why"),
    (2, "TEXT", codes.private("STATEMENT"), "research use, needs a radiologist"),
)  # fmt: skip


def page() -> str:
    """The page in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The tree of the report"
    yield ""
    yield "Made from `sifdetect/dicom/codes.py` by `python -m sifdetect.dicom.template_page`; not"
    yield "edited by hand. The rows are those of `sr.dcm`; what `sr-data.dcm` has instead is said."
    yield ""
    yield "| item | type | code | value |"
    yield "|---|---|---|---|"
    for depth, kind, code, value in _TREE:
        indent = "&emsp;" * depth
        name = f"{code.value} {code.scheme_designator}"
        yield f"| {indent}{code.meaning} | {kind} | {name} | {value} |"
    yield ""
    yield "The findings themselves stand, whole and exact, in the private attribute (0099,1001) of"
    yield "creator `SIFDETECT FINDINGS 1`, as findings JSON: `sifdetect read-sr` reads it back."
    yield ""
    yield f"## Private codes: `{codes.SCHEME}`, UID {codes.SCHEME_UID}"
    yield ""
    yield "| code | meaning | standard codes that were looked for |"
    yield "|---|---|---|"
    for item in codes.PRIVATE.values():
        yield f"| {item.value} | {item.meaning} | {item.looked_for} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page to the file that is named."""
    (name,) = sys.argv[1:] if arguments is None else arguments
    Path(name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
