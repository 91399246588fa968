"""Where the files lie: zip archives that cannot do harm, DICOMDIR, and what is not there."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian

from sifdetect.dicom import files
from sifdetect.dicom.read import read_studies
from sifdetect.errors import UnreadableInput
from tests import builders


def zipped(folder: Path, archive: Path, *, prefix: str = "") -> Path:
    """The files of a folder in an archive, their names after a prefix."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.iterdir()):
            out.write(path, f"{prefix}{path.name}")
    return archive


def test_a_zip_is_read_in_place(tmp_path: Path) -> None:
    """An archive gives the same volume as the folder, and nothing is unpacked beside it."""
    folder = builders.ct_series(tmp_path / "study")
    archive = zipped(folder, tmp_path / "study.zip", prefix="deep/er/")
    (inside,), (outside,) = read_studies([archive]), read_studies([folder])
    assert (inside.series[0].volume.values == outside.series[0].volume.values).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "study.zip"]


def test_a_member_that_points_outside_goes_nowhere(tmp_path: Path) -> None:
    """A member called ../../x is read like any other and written nowhere."""
    folder = builders.ct_series(tmp_path / "study")
    home = tmp_path / "home"
    home.mkdir()
    archive = zipped(folder, home / "evil.zip", prefix="../")
    (study,) = read_studies([archive])
    assert study.series[0].volume.grid.shape[0] == 8
    assert list(home.iterdir()) == [archive]


def test_a_deflated_series_in_a_zip_is_read_however_long_its_files(tmp_path: Path) -> None:
    """A deflated data set cannot be read in part: each of these is longer than any header."""
    folder = builders.ct_series(tmp_path / "study")
    (plain,) = read_studies([folder])
    noise = np.random.default_rng(0).bytes(400_000)
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.private_block(0x0099, "NOISE", create=True).add_new(1, "OB", noise)
        dataset.save_as(path)
    (study,) = read_studies([zipped(folder, tmp_path / "study.zip")])
    assert (study.series[0].volume.values == plain.series[0].volume.values).all()


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A member that shrank a thousand times is no image."""
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("slice.dcm", bytes(files.BOMB_BYTES + 1))
    with pytest.raises(UnreadableInput, match=r"'slice\.dcm', which would unpack to 64 MiB"):
        read_studies([archive])


def test_an_archive_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of members is bounded, too."""
    archive = zipped(builders.ct_series(tmp_path / "study"), tmp_path / "many.zip")
    monkeypatch.setattr(files, "MAX_MEMBERS", 7)
    with pytest.raises(UnreadableInput, match="holds 8 files, more than 7"):
        read_studies([archive])


def test_a_damaged_member_costs_only_itself(tmp_path: Path) -> None:
    """A member whose checksum is wrong is named; the other slices are read."""
    folder = builders.ct_series(tmp_path / "study", shape=(24, 34, 42))
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(folder.iterdir()):
            out.write(path, path.name)
        place = out.infolist()[7].header_offset + 2000
    content = bytearray(archive.read_bytes())
    content[place] ^= 0xFF
    archive.write_bytes(content)
    (study,) = read_studies([archive])
    assert study.series[0].volume.grid.shape[0] >= 23
    assert "CT1-007.dcm" in study.warnings[0].text


def test_a_dicomdir_names_its_files(tmp_path: Path) -> None:
    """Only what a DICOMDIR refers to is read, by way of its path."""
    disc = FileSet()
    for path in builders.ct_series(tmp_path / "study").iterdir():
        disc.add(path)
    disc.write(tmp_path / "disc")
    (study,) = read_studies([tmp_path / "disc/DICOMDIR"])
    assert study.series[0].volume.grid.shape[0] == 8
    (same,) = read_studies([tmp_path / "disc"])
    assert (same.series[0].volume.values == study.series[0].volume.values).all()


def test_a_dicomdir_on_a_lower_case_disc_is_read(tmp_path: Path) -> None:
    """Some systems show the upper-case names of a disc in lower case; a lost file is named."""
    disc = FileSet()
    for path in builders.ct_series(tmp_path / "study", shape=(24, 34, 42)).iterdir():
        disc.add(path)
    disc.write(tmp_path / "disc")
    for path in sorted((tmp_path / "disc").rglob("*"), key=lambda one: -len(one.parts)):
        path.rename(path.with_name(path.name.lower()))
    (study,) = read_studies([tmp_path / "disc/dicomdir"])
    assert study.series[0].volume.grid.shape[0] == 24


def test_a_dicomdir_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    """A file outside the disc is not opened, whatever the DICOMDIR says."""
    assert files._below(tmp_path / "disc", ["..", "secret"]) is None
    assert files._below(tmp_path / "disc", ["/etc/passwd"]) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent", None, r"absent does not exist\. Check the path"),
        ("broken.zip", b"PK\x03\x04 and no more", "no readable DICOM file in"),
        ("DICOMDIR", b"\x00" * 300, "is not a readable DICOMDIR"),
        ("note.txt", b"hello", "no readable DICOM file in"),
        ("short.dcm", b"\x00" * 128 + b"DICM", "no readable DICOM file in"),
    ],
)
def test_a_path_without_dicom_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """The message says what, where and what to do."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=message) as caught:
        read_studies([path])
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Nothing to read is the sender's fault, with exit code 4."""
    with pytest.raises(UnreadableInput) as caught:
        read_studies([tmp_path])
    assert caught.value.exit_code == 4
