"""Outside judges of result objects: which one judges which kind, and the traps of each.

Each has a trap that would let a broken object pass, and each trap is named where it is avoided. A
judge that is not installed skips the test, and fails it under CI=true (tests/conftest.py). A new
kind of object is one line of ``JUDGES_OF``.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from sifdetect.dicom.codes import SCHEME, SCHEME_UID
from tests.conftest import find_tool

PIXELMED = Path("/usr/share/java/pixelmed.jar")

_PRIVATE_WARNING = re.compile(
    r"^\(0x0099,0x10[0-9a-f]{2}\)[^\n]* - Warning - [^\n]*\n", re.MULTILINE
)
_FALSE_ALARMS = (
    # The private scheme is declared in the object, as the standard asks; the judge knows no other.
    re.compile(rf"Unrecognized defined term = <({SCHEME}|{re.escape(SCHEME_UID)})>"),
    # In PS3.3 Table C.12-1 since 2020, and what IHE AIR tells algorithms apart by; the judge is
    # older.
    re.compile(r"ContributingEquipmentSequence.*/DeviceUID.*not present in standard DICOM IOD"),
    # The findings that reports carry (sifdetect.dicom.carried); the judge tells it reads the VR.
    re.compile(r'\(0099,1001,"SIFDETECT FINDINGS 1"\).*assuming explicit value representation OK'),
)
_SMALL = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # half the time of a short run
_NO_LIMITS = (
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathTotalOpLimit=0",
    "-Djdk.xml.xpathExprGrpLimit=0",
)

_DCMTK = re.compile(r"[WEF]: (?!The VR checker does not support this Specific Character Set)")
"""dcmtk's warnings and errors; its checker of values knows fewer character sets than its reader."""
_LISTED = re.compile(r"(\t+>+)?[A-Z ]*: ([A-Z0-9]+): (\([^)]*,\".*\")?")
"""A content item as dcsrdump lists it: relationship, value type, name."""

Judge = Callable[[Sequence[Path]], list[str]]


def dciodvfy(paths: Sequence[Path]) -> list[str]:
    """Attributes of any object: errors and warnings.

    Trap: its exit code says nothing of warnings, and its output nothing of a crash; both count.
    """
    complaints = []
    for path in paths:
        done = _run("dciodvfy", "-new", path)
        lines = (done.stderr + done.stdout).decode("latin-1").splitlines()
        told = [line for line in lines if re.match(r"(Error|Warning|Abort)", line)]
        told = [line for line in told if not any(alarm.search(line) for alarm in _FALSE_ALARMS)]
        if done.returncode != 0 and not told:
            told = [f"dciodvfy ended with {done.returncode}: {' '.join(lines)}"]
        complaints += [_of(path, line) for line in told]
    return complaints


def pixelmed(paths: Sequence[Path]) -> list[str]:
    """Content of reports against their template.

    Traps: it exits 0 whatever it finds, stops silently where the XPath limits of Java bite, passes
    a document whose root template it does not know, and takes one file alone; so the end of the
    template must be told for each.
    """
    if not PIXELMED.is_file():
        pytest.skip("PixelMed's validator is not installed (Debian package pixelmed-apps)")
    validator = ("-cp", PIXELMED, "com.pixelmed.validate.DicomSRValidator")
    strict = ("-checktemplateid", "-checkcontentitemorder")
    complaints = []
    for path in paths:
        done = _run("java", *_SMALL, *_NO_LIMITS, *validator, *strict, path)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        told = [line for line in text.splitlines() if re.match(r"\s*(Error|Warning)", line)]
        if "Root Template Validation Complete" not in text:
            told.append(f"the template was not validated to its end: {text[-500:]}")
        complaints += [_of(path, line) for line in told]
    return complaints


def dsrdump(paths: Sequence[Path]) -> list[str]:
    """Whether dcmtk reads a report without a warning.

    Traps: it exits 0 where mandatory attributes are absent, and says so as a warning alone. The
    build of Debian converts no code extensions (ISO 2022); a report with them is given in UTF-8.
    """
    complaints = []
    for path in paths:
        done = _run("dsrdump", "+Pl", "+U8", _without_extensions(path))
        complaints += _dcmtk(path, done)
    return complaints


def dsr2xml(paths: Sequence[Path]) -> list[str]:
    """Whether dcmtk makes well-formed XML of a report.

    Traps: those of dsrdump; and XML that is cut is no error of its own.
    """
    complaints = []
    for path in paths:
        done = _run("dsr2xml", "+U8", _without_extensions(path))
        complaints += _dcmtk(path, done)
        try:
            ElementTree.fromstring(done.stdout)
        except ElementTree.ParseError as error:
            complaints.append(_of(path, f"the XML is not well-formed: {error}"))
    return complaints


def dcsrdump(paths: Sequence[Path]) -> list[str]:
    """Whether dicom3tools lists every content item of a report with its name and its value.

    Traps: it exits 0 and prints what is left, whatever is missing; and it warns, above the tree, of
    the private attribute that carries the findings (sifdetect.dicom.carried).
    """
    complaints = []
    for path in paths:
        text = _PRIVATE_WARNING.sub("", _run("dcsrdump", path).stderr.decode("utf-8", "replace"))
        lines = re.split(r"\n(?=\t+>)", text.strip("\n"))
        count = _items(dcmread(path))
        if len(lines) != count:
            complaints.append(_of(path, f"{len(lines)} of {count} content items are listed"))
        complaints += [_of(path, f"name or value lacks: {line}") for line in lines if _bare(line)]
    return complaints


def dcmpschk(paths: Sequence[Path]) -> list[str]:
    """Presentation states, checked by dcmtk.

    Traps: it exits 0 where its test failed; what counts is that it says that it passed. It takes
    UTF-8 byte by byte, and a byte of 80 to 9F for a control character, as in Ł; such a state is
    judged with its name in ASCII.
    """
    complaints = []
    for path in paths:
        done = _run("dcmpschk", _in_ascii(path))
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
        told = [line for line in lines if not re.match(r"W: (Testing: |Test passed)", line)]
        if "W: Test passed." not in lines:
            told.append("the test was not passed")
        complaints += [_of(path, line) for line in told]
    return complaints


def pdfinfo(paths: Sequence[Path]) -> list[str]:
    """The document inside an Encapsulated PDF: that it opens, and has its pages.

    Trap: a damaged file is repaired silently, with a line on the error channel and exit code 0.
    """
    complaints = []
    for path in paths:
        document = path.with_suffix(".pdf")
        document.write_bytes(dcmread(path).EncapsulatedDocument)
        done = _run("pdfinfo", document)
        told = done.stderr.decode("utf-8", "replace").splitlines()
        pages = re.search(rb"^Pages:\s+([1-9]\d*)$", done.stdout, re.MULTILINE)
        if done.returncode != 0 or pages is None:
            told.append(f"pdfinfo ended with {done.returncode} and counts no page")
        complaints += [_of(path, line) for line in told]
    return complaints


_REPORT: tuple[Judge, ...] = (dciodvfy, pixelmed, dsrdump, dcsrdump, dsr2xml)

JUDGES_OF: Mapping[UID, tuple[Judge, ...]] = {
    SegmentationStorage: (dciodvfy,),
    Comprehensive3DSRStorage: _REPORT,
    ComprehensiveSRStorage: _REPORT,
    EnhancedSRStorage: _REPORT,
    SecondaryCaptureImageStorage: (dciodvfy,),
    EncapsulatedPDFStorage: (dciodvfy, pdfinfo),
    GrayscaleSoftcopyPresentationStateStorage: (dciodvfy, dcmpschk),
    CTImageStorage: (dciodvfy,),
    MRImageStorage: (dciodvfy,),
    EnhancedCTImageStorage: (dciodvfy,),
    EnhancedMRImageStorage: (dciodvfy,),
}
"""Who judges an object, by its SOP class; an object of any other class is a complaint."""


def complaints(objects: Mapping[str, Dataset], folder: Path) -> list[str]:
    """What all judges of these objects find wrong, empty where they are sound.

    Args:
        objects: by a name that each complaint will carry.
    """
    paths: dict[Judge, list[Path]] = {}
    found = []
    for name, dataset in objects.items():
        judges = JUDGES_OF.get(dataset.SOPClassUID, ())
        if not judges:
            found.append(f"{name}: nobody judges {dataset.SOPClassUID.name}")
        path = folder / f"{name}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        for judge in judges:
            paths.setdefault(judge, []).append(path)
    for judge, own in paths.items():
        found += [f"{judge.__name__}: {line}" for line in judge(own)]
    return found


def object_complaints(dataset: Dataset, folder: Path) -> list[str]:
    """What dciodvfy finds wrong in an object: errors and warnings, empty where it is sound."""
    return dciodvfy([_saved(dataset, folder)])


def template_complaints(dataset: Dataset, folder: Path) -> list[str]:
    """What PixelMed's DicomSRValidator finds wrong in a report, empty where it is sound."""
    return pixelmed([_saved(dataset, folder)])


def read_aloud(dataset: Dataset, folder: Path) -> str:
    """The report as dsrdump prints it, long texts in full."""
    done = _run("dsrdump", "+Pl", "+U8", _saved(dataset, folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8")


def _run(command: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    line: list[str | Path] = [find_tool(command), *arguments]
    return subprocess.run(line, capture_output=True, check=False, timeout=580)


def _dcmtk(path: Path, done: subprocess.CompletedProcess[bytes]) -> list[str]:
    told = [line for line in done.stderr.decode("latin-1").splitlines() if _DCMTK.match(line)]
    if done.returncode != 0 and not told:
        told = [f"it ended with {done.returncode}"]
    return [_of(path, line) for line in told]


def _without_extensions(path: Path) -> Path:
    report = dcmread(path)
    if not isinstance(report.SpecificCharacterSet, MultiValue):
        return path
    report.decode()
    report.SpecificCharacterSet = "ISO_IR 192"
    report.save_as(path.with_suffix(".utf8.dcm"))
    return path.with_suffix(".utf8.dcm")


def _in_ascii(path: Path) -> Path:
    state = dcmread(path)
    if state.SpecificCharacterSet != "ISO_IR 192":
        return path
    state.PatientName = str(state.PatientName).encode("ascii", "replace").decode()
    state.save_as(path.with_suffix(".ascii.dcm"))
    return path.with_suffix(".ascii.dcm")


def _bare(line: str) -> bool:
    """True where a listed content item has no name, or has no value and is no container."""
    listed = _LISTED.match(line)
    if listed is None or listed[3] is None:
        return True
    return listed[2] != "CONTAINER" and re.search(r"\)\s+= \S", line) is None


def _items(node: Dataset) -> int:
    return 1 + sum(_items(child) for child in node.get("ContentSequence", []))


def _of(path: Path, line: str) -> str:
    return f"{path.stem}: {line}"


def _saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path
