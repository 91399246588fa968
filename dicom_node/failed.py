"""What is sent where the analysis made nothing: a text report that says so, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node import logs


def write_failure_report(images: Sequence[Path], out: Path, reason: str) -> bool:
    """Write ``out/sr.dcm``, a report that the study could not be assessed.

    Headers alone are read, so that an image whose pixels broke the analysis breaks nothing here.

    Args:
        images: of one study; the first that can be read says whose report it is.
        out: an existing folder.
        reason: one sentence for the radiologist.

    Returns:
        False where no image can be read, so that nobody can say whose report it would be.

    Raises:
        OSError: the report cannot be written.
    """
    for path in images:
        try:
            report = _report(path, reason)
        except Exception as error:  # noqa: BLE001  # whatever this header holds, the next may do
            logs.warning("no failure report from an image", error=type(error).__name__)
        else:
            report.save_as(out / "sr.dcm", enforce_file_format=True)
            return True
    return False


def _report(path: Path, reason: str) -> Dataset:
    # Heavy, and needed for failures alone.
    from sifdetect.dicom.read import DicomStudy  # noqa: PLC0415  # see above
    from sifdetect.dicom.text_report import encode_text_report  # noqa: PLC0415  # see above

    header = dcmread(path, stop_before_pixels=True)
    uid = str(header.StudyInstanceUID)
    study = DicomStudy(uid, series=(), refused=(), warnings=(), header=header)
    return encode_text_report(None, study, failure=reason)
