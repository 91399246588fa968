"""A node whose analysis is small: `python node_runner.py` is `sifnode serve` without networks.

What the analysis does is said by the images' Study Description: ``die`` kills its process, ``slow``
takes two seconds, ``hang`` takes for ever, ``break`` raises, ``flaky`` raises the first time,
``refuse`` finds it unsuitable.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node import logs, vitals
from dicom_node.cli import _print_ready, leave
from dicom_node.config import load
from sifdetect.dicom.uids import result_uid
from sifdetect.errors import SifdetectError, UnsuitableSeries
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    Coverage,
    DenisFinding,
    FfpFinding,
    MorphologyFinding,
    Presence,
    StudyFindings,
    to_json,
)
from sifdetect.folder import whole

RESULTS = {
    "seg": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
    "sr": ("1.2.840.10008.5.1.4.1.1.88.22", "SR"),
    "summary": ("1.2.840.10008.5.1.4.1.1.7", "OT"),
}


@dataclass(frozen=True)
class Small:
    """What the small analysis says of a study."""

    findings: StudyFindings | None
    error: SifdetectError | None


def small_analysis(images: Sequence[Path], out: Path) -> list[Small]:
    """Result objects that cite the images, with UIDs that follow from them."""
    sources = [dcmread(path, stop_before_pixels=True) for path in images]
    wish = str(sources[0].get("StudyDescription", ""))
    if wish == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if wish == "hang":
        time.sleep(3600)
    tried = out.parent / "tried"
    if wish == "break" or (wish == "flaky" and not tried.exists()):
        tried.touch()
        raise ValueError("broken on purpose")
    error = UnsuitableSeries("Unsuitable on purpose") if wish == "refuse" else None
    findings = None if error else _absent(sources[0])
    with whole(out / str(sources[0].StudyInstanceUID)) as folder:
        for name in ["sr"] if error else RESULTS:
            _result(sources, name).save_as(folder / f"{name}.dcm", enforce_file_format=True)
        if findings is not None:
            (folder / "findings.json").write_text(json.dumps(to_json(findings)))
        if wish == "slow":
            time.sleep(2)
    return [Small(findings=findings, error=error)]


def _result(sources: Sequence[Dataset], name: str) -> Dataset:
    sop_class, modality = RESULTS[name]
    identities = sorted(str(source.SOPInstanceUID) for source in sources)
    made = Dataset()
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = result_uid(name, *identities)
    made.StudyInstanceUID = sources[0].StudyInstanceUID
    made.SeriesInstanceUID = result_uid("series", name, *identities)
    made.Modality = modality
    made.Manufacturer = "sifdetect project"
    for keyword in ("PatientName", "PatientID"):
        setattr(made, keyword, sources[0].get(keyword, ""))
    made.ImageComments = f"{len(identities)} images"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _absent(source: Dataset) -> StudyFindings:
    return StudyFindings(
        study_instance_uid=str(source.StudyInstanceUID),
        presence=Presence.ABSENT,
        probability=0.01,
        denis=DenisFinding(),
        morphology=MorphologyFinding(),
        bakker=BakkerFinding(),
        ffp=FfpFinding(),
        coverage=Coverage(sacrum=1.0),
        algorithm=Algorithm(name="small", version="1"),
    )


def run() -> int:
    """Serve with the settings of the environment."""
    # Heavy, and of no use to the process that analyses.
    from dicom_node.service import serve  # noqa: PLC0415  # see above

    _hasten()
    try:
        config = load()
        logs.set_up(config.log.level)
        serve(config, analyze=small_analysis, now=_now, ready=_print_ready)
    except SifdetectError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    leave()
    return 0


def _hasten() -> None:
    """Bear silence for as long as a test may say."""
    if seconds := os.environ.get("SIFDETECT_TEST_STUCK_SECONDS"):
        vitals._STUCK_SECONDS = float(seconds)


def _now() -> float:
    """The time, put forward by as many seconds as a file says that a test may write."""
    clock = os.environ.get("SIFDETECT_TEST_CLOCK")
    return time.time() + (float(Path(clock).read_text()) if clock else 0.0)


if __name__ == "__main__":
    sys.exit(run())
