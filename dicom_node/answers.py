"""What destinations say to objects, in words, and which object is of which kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydicom.filereader import read_file_meta_info

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
_WORDS = {  # SOP classes of the results (PS3.4 B.5), in the words of those who read the log
    SEGMENTATION: "SEG",
    ENHANCED_SR: "SR",
    COMPREHENSIVE_SR: "SR",
    COMPREHENSIVE_3D_SR: "SR",
    SECONDARY_CAPTURE: "summary",
    ENCAPSULATED_PDF: "PDF",
    PRESENTATION_STATE: "GSPS",
}
_APART = {"sr-data": "data SR", "anatomy": "anatomy SEG"}
"""Of one SOP class with another object, by the file's name."""
SR_CLASSES = {
    "auto": (COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR, ENHANCED_SR),
    "comprehensive-3d": (COMPREHENSIVE_3D_SR,),
    "comprehensive": (COMPREHENSIVE_SR,),
    "enhanced": (ENHANCED_SR,),
}
"""As which SOP classes a measurement report may go, the best first, by ``sr_class``."""
_CLASSES = {
    "seg": (SEGMENTATION,),
    "summary": (SECONDARY_CAPTURE,),
    "pdf": (ENCAPSULATED_PDF,),
    "gsps": (PRESENTATION_STATE,),
    "anatomy": (SEGMENTATION,),
    "text": (ENHANCED_SR,),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a destination said to one object.

    Attributes:
        name: the object's file name.
        word: what it is: SR, SEG, summary …
        status: the C-STORE status, or the failure reason of STOW-RS, as ``0x0000``; empty where
            there was no answer.
        reason: the status in words, or why there was none.
        sop_class_uid, sop_instance_uid: of the version that was sent.
    """

    name: str
    word: str
    accepted: bool
    status: str
    reason: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    def __str__(self) -> str:
        verdict = "accepted" if self.accepted else f"refused {self.status or self.reason}"
        return f"{self.word} {verdict}"

    def as_document(self) -> dict[str, Any]:
        """The answer as plain JSON values, without the name that it is kept under."""
        document = asdict(self)
        del document["name"]
        return document


def word_of(path: Path, sop_class_uid: str) -> str:
    """What an object is called in logs and in the status."""
    return _APART.get(_stem(path)) or _WORDS.get(sop_class_uid, "object")


def chosen(objects: Iterable[Path], wanted: Collection[str]) -> list[Path]:
    """The objects of the kinds that a destination wants, by their file names.

    The report of a study without a finding is a text report: whoever wants either gets it.
    """
    return [path for path in objects if _kinds(path) & set(wanted)]


def needed_classes(wanted: Collection[str], sr_class: str) -> list[tuple[str, tuple[str, ...]]]:
    """The SOP classes that a destination must take, each with its word; one of each group will do.

    A measurement report needs one of its classes; where nothing was found it is a text report.
    """
    groups: dict[str, tuple[str, ...]] = {}
    groups |= {_WORDS[_CLASSES[kind][0]]: _CLASSES[kind] for kind in _CLASSES if kind in wanted}
    if {"sr", "data"} & set(wanted):
        groups["SR"] = SR_CLASSES[sr_class]
    if "sr" in wanted:
        groups["text SR"] = (ENHANCED_SR,)
    return sorted(groups.items())


def _stem(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return stem if stem == "sr-data" else stem.partition("-")[0]


def _kinds(path: Path) -> set[str]:
    kind = {"sr-data": "data", "report": "pdf"}.get(_stem(path), _stem(path))
    if kind != "sr":
        return {kind}
    is_text = str(read_file_meta_info(path).MediaStorageSOPClassUID) == ENHANCED_SR
    return {"sr", "text"} if is_text else {"sr"}
