"""Outside judges of result objects: dciodvfy, PixelMed's template validator, dsrdump.

Each has a trap that would let a broken object pass, and each trap is named where it is avoided. A
judge that is not installed skips the test, and fails it under CI=true (tests/conftest.py).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset

from sifdetect.dicom.codes import SCHEME, SCHEME_UID
from tests.conftest import find_tool

PIXELMED = Path("/usr/share/java/pixelmed.jar")

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


def object_complaints(dataset: Dataset, folder: Path) -> list[str]:
    """What dciodvfy finds wrong in an object: errors and warnings, empty where it is sound.

    Trap: its exit code says nothing of warnings, and its output nothing of a crash; both count.
    """
    path = _saved(dataset, folder)
    command = [str(find_tool("dciodvfy")), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    lines = (done.stderr + done.stdout).decode("latin-1").splitlines()
    told = [line for line in lines if re.match(r"(Error|Warning|Abort)", line)]
    complaints = [line for line in told if not any(alarm.search(line) for alarm in _FALSE_ALARMS)]
    if done.returncode != 0 and not complaints:
        complaints = [f"dciodvfy ended with {done.returncode}: {' '.join(lines)}"]
    return complaints


def template_complaints(dataset: Dataset, folder: Path) -> list[str]:
    """What PixelMed's DicomSRValidator finds wrong in a report's content, empty where it is sound.

    Traps: it exits 0 whatever it finds, stops silently where the XPath limits of Java bite, and
    passes a document whose root template it does not know; so the end of the template must be told.
    """
    if not PIXELMED.is_file():
        pytest.skip("PixelMed's validator is not installed (Debian package pixelmed-apps)")
    path = _saved(dataset, folder)
    validator = ("-cp", str(PIXELMED), "com.pixelmed.validate.DicomSRValidator")
    strict = ("-checktemplateid", "-checkcontentitemorder")
    command = [str(find_tool("java")), *_SMALL, *_NO_LIMITS, *validator, *strict, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=580)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    complaints = [line for line in text.splitlines() if re.match(r"\s*(Error|Warning)", line)]
    if "Root Template Validation Complete" not in text:
        complaints.append(f"the template was not validated to its end: {text[-500:]}")
    return complaints


def read_aloud(dataset: Dataset, folder: Path) -> str:
    """The report as dsrdump prints it, long texts in full.

    Trap: it exits 0 even where mandatory content is absent; what is asserted is what it printed.
    """
    path = _saved(dataset, folder)
    command = [str(find_tool("dsrdump")), "+Pl", "+U8", str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return done.stdout.decode("utf-8")


def _saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path
