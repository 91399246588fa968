"""The annexes of the conformance statement: created objects, codes and private attributes."""

from __future__ import annotations

from dicom_node.answers import SR_CLASSES
from dicom_node.document import Lines, listed, named, prose, table
from sifdetect.dicom import carried, codes
from sifdetect.dicom.objects_page import COPIED, MADE, NO_VALUE, ObjectKind, object_kinds

_WHEN = {
    "sr": "with a finding; without one, and where the study cannot be assessed, it is `text.dcm`'s",
    "seg": "with a finding, one for each analysed series that shows it",
    "summary": "wherever a sacrum was segmented",
    "data": "with a finding (TID 1411, for software)",
    "text": "always",
    "pdf": "always",
    "gsps": "with a finding, one for each analysed series that shows it",
    "anatomy": "where asked for, one for each analysed series",
}


def annexes() -> Lines:
    """Chapter 7."""
    kinds = object_kinds()
    yield "## 7 Annexes"
    yield ""
    yield "### 7.1 Objects that are created"
    yield ""
    yield from prose(
        "All lie in the study of their source, are preliminary and unverified, and have UIDs "
        "that follow from study, series, instances, algorithm and the checksums of the models "
        "(`2.25.` and a name-based UUID): the same input makes the same object, byte for "
        "byte. What a source leaves out stays empty; nothing about a patient is made up. "
        "Series and Content Date are those of the last image that the result speaks of. "
        "`fhir.json` (FHIR R4) is written to the folder and never sent."
    )
    yield from table(
        ("`objects`", "file", "SOP class", "UID", "modality", "series", "made"),
        [_row(kind) for kind in kinds],
    )
    yield from prose(
        "Transfer syntax on disk: "
        f"{listed(sorted({one.transfer_syntax_uid for one in kinds}))}; another one is made "
        "for the destination that asks for it. A report that goes to a destination in a "
        f"lesser SOP class ({listed(SR_CLASSES['auto'][1:])}) is another instance with a UID "
        "of its own, which follows from the first one's."
    )
    yield "### 7.2 Attributes"
    yield ""
    yield from prose(
        "Read off what the encoders make of two studies that have nothing in common. Values "
        "that are always the same are given. The tree of the reports, item by item: "
        "[sr-template](sr-template.md)."
    )
    for kind in kinds:
        yield from _attributes(kind)
    yield from _codes()
    yield from _private()


def _row(kind: ObjectKind) -> tuple[str, ...]:
    name, uid = named(kind.sop_class_uid)
    series = f"{kind.series_number} {kind.series_description}"
    return (
        f"`{kind.output}`",
        f"`{kind.file}`",
        name,
        uid,
        kind.modality,
        series,
        _WHEN[kind.output],
    )


def _attributes(kind: ObjectKind) -> Lines:
    yield f"#### {named(kind.sop_class_uid)[0]}: `{kind.file}`"
    yield ""
    groups: dict[str, list[str]] = {word: [] for word in (COPIED, MADE, NO_VALUE)}
    fixed = []
    for one in kind.attributes:
        if one.value in groups:
            groups[one.value].append(f"{one.name} {one.tag}")
        else:
            fixed.append((one.tag, one.name, one.vr, f"`{one.value}`"))
    yield from table(("tag", "attribute", "VR", "value"), fixed)
    for word, names in groups.items():
        if names:
            yield f"- {word}: {', '.join(names)}"
    yield ""


def _codes() -> Lines:
    yield "### 7.3 Coded terminology"
    yield ""
    yield from prose(
        f"SCT, DCM, LN, UCUM, I10C, and the private scheme `{codes.SCHEME}` (UID "
        f"{codes.SCHEME_UID}) of {len(codes.PRIVATE)} codes, each with the standard codes that "
        "were looked for: [sr-template](sr-template.md). Schemes that a reader cannot know "
        "from the standard are declared in Coding Scheme Identification Sequence (0008,0110)."
    )


def _private() -> Lines:
    yield "### 7.4 Private attributes"
    yield ""
    tag = f"({carried.GROUP:04X},{0x1000 + carried.ELEMENT:04X})"
    yield from table(
        ("tag", "private creator", "VR", "value"),
        [
            (
                tag,
                f"`{carried.CREATOR}`",
                "UT",
                "the findings as JSON; `sifdetect read-sr` reads them",
            )
        ],
    )
    yield from prose(
        "No private SOP class, no private transfer syntax, no standard extended SOP class "
        "beyond the private attribute above. Grayscale consistency: the node shows no images."
    )
