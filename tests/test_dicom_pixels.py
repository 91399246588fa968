"""Stored pixels: what is refused before it can be taken for something else."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from sifdetect.dicom.files import locate
from tests import builders
from tests.builders import Built


def test_a_ct_without_rescale_intercept_is_refused(tmp_path: Path) -> None:
    """Stored values would pass for Hounsfield units, 1024 too high on many scanners."""
    datasets = builders.slices(Built())
    for dataset in datasets:
        del dataset.RescaleIntercept
    builders.save(datasets, tmp_path)
    study = builders.read_one(tmp_path)
    assert study.series == ()
    assert "Rescale Intercept is missing" in study.refused[0].reason


def test_a_truncated_deflated_file_is_an_ordinary_file(tmp_path: Path) -> None:
    """Whoever asks whether it is a DICOMDIR is not stopped by its damage."""
    dataset = builders.slices(Built())[0]
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "cut.dcm"
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:700])
    with ExitStack() as resources:
        located = list(locate([path], resources, []))
    assert [one.path for one in located] == [path]


def test_an_element_that_cannot_be_decoded_is_left_out_of_its_own_slice_alone(
    tmp_path: Path,
) -> None:
    """What decodes in one slice is not decoded again in the next; what does not is not trusted."""
    datasets = builders.slices(Built())
    for dataset in datasets:
        dataset.StationName = "CT-ONE"
    builders.save(datasets, tmp_path)
    text, floats = b"\x08\x00\x10\x10SH", b"\x08\x00\x10\x10FD"  # six bytes are no double
    for victim in sorted(tmp_path.rglob("*.dcm"))[3:5]:
        content = victim.read_bytes()
        assert content.count(text) == 1
        victim.write_bytes(content.replace(text, floats))
    (series,) = builders.read_one(tmp_path).series
    names = [dataset.get("StationName") for dataset in series.datasets]
    assert len(names) == len(datasets)
    assert sorted(names, key=str) == ["CT-ONE"] * (len(datasets) - 2) + [None, None]
