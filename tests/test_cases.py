"""Synthetic examinations as files: what is read back is what was rendered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.cli import main
from sifdetect.dicom.read import read_studies
from sifdetect.dicom.vendor_styles import STYLES
from sifdetect.errors import UsageError
from sifdetect.findings import Morphology, from_json
from sifdetect.learn import anatomy_source, cases
from sifdetect.learn.cases import Making, write_cases
from sifdetect.learn.record import digest, parameters
from sifdetect.learn.scanned import Storage, as_scanned, headers_of, write_study
from sifdetect.synth.case import Protocol, SyntheticCase, make_case
from sifdetect.synth.scene import sample_case
from sifdetect.volume import Grid, Volume

COARSE = Protocol(ct_spacing_mm=(5.0, 5.0, 8.0), mr_spacing_mm=(4.0, 9.0, 4.0))


@cache
def case() -> SyntheticCase:
    """A whole sacrum on coarse grids."""
    return make_case(3, morphology=Morphology.NONE, protocol=COARSE)


@pytest.mark.parametrize("coarsest", [0, 1, 2])
def test_storing_as_scanned_moves_nothing(coarsest: int) -> None:
    """Every voxel keeps its place in the patient; the coarsest axis becomes the slices."""
    spacing = np.array([0.8, 1.1, 1.4])
    spacing[coarsest] = 5.0
    affine = np.diag([*spacing, 1.0])
    affine[1, 1] *= -1
    values = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    volume = Volume(values, Grid((5, 6, 7), affine), Modality.CT)
    stored = as_scanned(volume)
    assert stored.grid.spacing_mm[0] == 5.0
    index = np.argwhere(np.ones(stored.grid.shape, dtype=bool))
    origin = np.rint(volume.grid.mm_to_index(stored.grid.index_to_mm(index))).astype(int)
    assert (values[tuple(origin.T)] == stored.values.ravel()).all()


def test_axial_slices_look_as_they_do_on_a_viewer() -> None:
    """Columns run to the patient's left, rows to the back, slices upwards."""
    volume = case().volumes[0]
    axes = as_scanned(volume).grid.affine_lps_mm[:3, :3]
    assert axes[2, 0] > 0
    assert axes[1, 1] > 0
    assert axes[0, 2] > 0


@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "FFP"])
def test_how_the_patient_lies_moves_no_voxel(position: str) -> None:
    """Other order of slices, rows and columns, the same value at the same place."""
    volume = case().volumes[0]
    stored = as_scanned(volume, position)
    assert stored.resampled(volume.grid).values == pytest.approx(volume.values, abs=0.01)
    assert (stored.grid.affine_lps_mm[2, 0] > 0) == position.startswith("HF")
    assert (stored.grid.affine_lps_mm[0, 2] > 0) == position.endswith("S")


def test_seeds_differ_in_style_and_every_study_says_that_it_is_synthetic() -> None:
    """All styles come up on CT and on MR; no name, number or company of anybody."""
    made = [headers_of(replace(case(), params=replace(case().params, seed=s))) for s in range(20)]
    for series in range(3):
        styles = [headers[series].style for headers in made]
        assert {style.name for style in styles if style is not None} == set(STYLES)
    assert len({headers[0].date for headers in made}) > 10
    assert all("SYNTHETIC" in header.patient_name for headers in made for header in headers)


def test_the_same_seed_writes_the_same_study(tmp_path: Path) -> None:
    """Byte for byte, on whatever day."""
    for name in ("a", "b"):
        write_study(case(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) > 20
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_written_study_is_read_as_what_it_is(tmp_path: Path) -> None:
    """One study, CT and two MR series told apart, all voxels in place, truth under its UID."""
    truth = write_study(case(), tmp_path)
    (study,) = read_studies([tmp_path])
    assert study.study_instance_uid == truth.study_instance_uid
    found = {one.volume.weighting: one.volume for one in study.series}
    assert set(found) == {None, MrWeighting.STIR, MrWeighting.T1}
    ct = case().volumes[0]
    assert found[None].resampled(ct.grid).values == pytest.approx(ct.values, abs=1.0)
    frames = {volume.grid.frame_of_reference_uid for volume in found.values()}
    assert len(frames) == 1


def test_an_enhanced_study_holds_one_file_a_series(tmp_path: Path) -> None:
    """Three multi-frame files are read to the volumes of the classic study, with its truth."""
    classic = write_study(case(), tmp_path / "classic")
    enhanced = write_study(case(), tmp_path / "enhanced", storage=Storage.ENHANCED)
    assert classic == enhanced
    assert len(list((tmp_path / "enhanced").iterdir())) == 3
    studies = [read_studies([tmp_path / name])[0] for name in ("classic", "enhanced")]
    for one, other in zip(*(study.series for study in studies), strict=True):
        assert one.source.description == other.source.description
        assert np.array_equal(one.volume.values, other.volume.values)


def test_a_case_folder_holds_images_labels_and_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NIfTI on request; the truth is a findings document; nothing half-written is left."""
    monkeypatch.setitem(cases.PROFILES, "mr", replace(COARSE, with_ct=False))
    (folder,) = write_cases(tmp_path, [7], profile="mr", formats=("nifti",))
    assert sorted(path.name for path in (folder / "nifti").iterdir()) == [
        "labels.json",
        *(f"stir{part}.nii.gz" for part in ("", "_anatomy", "_lesions")),
        *(f"t1{part}.nii.gz" for part in ("", "_anatomy", "_lesions")),
    ]
    path = folder / "nifti/stir.nii.gz"
    image = nib.nifti1.load(path)  # type: ignore[no-untyped-call]  # nibabel's
    assert image.header.get_zooms() == pytest.approx((4, 9, 4))
    truth = from_json(json.loads((folder / "truth.json").read_text()))
    assert truth.algorithm.name == "sifdetect.synth"
    assert [path.name for path in tmp_path.iterdir()] == ["case-000007"]


def test_volumes_of_one_kind_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two series of one weighting give two images, not one that covers the other."""
    one = case()
    twice = replace(
        one,
        volumes=(one.volumes[0], one.volumes[1], one.volumes[1]),
        anatomy=one.anatomy,
        lesions=one.lesions,
    )
    monkeypatch.setattr(cases, "make_case", lambda *_, **__: twice)
    (folder,) = write_cases(tmp_path, [7], formats=("nifti",))
    names = {path.name for path in (folder / "nifti").glob("stir*")}
    assert len(names) == 6
    assert {"stir.nii.gz", "stir-2.nii.gz", "stir-2_anatomy.nii.gz"} <= names


def test_what_was_made_to_the_same_order_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call renders nothing; another order replaces the folder."""
    made: list[int] = []

    def make(seed: int, **_: object) -> SyntheticCase:
        made.append(seed)
        return case()

    monkeypatch.setattr(cases, "make_case", make)
    for storage in (Storage.CLASSIC, Storage.CLASSIC, Storage.ENHANCED):
        write_cases(tmp_path, [8, 9], making=Making(storage=storage))
    assert made == [8, 9, 8, 9]
    files = list((tmp_path / "case-000009" / "dicom").iterdir())
    assert len(files) == 3


def test_cases_are_made_from_the_bones_of_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pelves of the source reach the generator, its name and checksums the case."""
    given: list[object] = []

    def make(seed: int, *, sources: Sequence[object], **_: object) -> SyntheticCase:
        given.extend(sources)
        return case()

    monkeypatch.setattr(cases, "make_case", make)
    monkeypatch.setattr(anatomy_source, "fields", lambda *_, **__: ["a pelvis"])
    (tmp_path / "VH_F_Pelvis.glb").write_bytes(b"other bones")
    source = anatomy_source.parse(f"meshes:{tmp_path}")
    (folder,) = write_cases(tmp_path, [8], making=Making(anatomy=source))
    assert given == ["a pelvis"]
    assert json.loads((folder / "case.json").read_text())["anatomy"] == source.record()


def test_a_case_says_what_it_was_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed, bones, code and everything that was drawn, with a checksum that follows it."""
    monkeypatch.setattr(cases, "make_case", lambda *_, **__: case())
    (folder,) = write_cases(tmp_path, [8])
    told = json.loads((folder / "case.json").read_text())
    assert (told["seed"], told["anatomy"]["kind"], told["storage"]) == (8, "procedural", "classic")
    assert told["parameters"]["fracture"]["morphology"] == "NONE"
    assert (told["shown"]["stage"], told["shown"]["ct_occult"]) == (None, False)
    assert told["parameters_sha256"] == digest(told["parameters"])
    assert digest(parameters(sample_case(4))) != digest(parameters(sample_case(5)))


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("mesh:{}", 2, "There is no anatomy source 'mesh'"),
        ("meshes:{}", 4, "no pelvic meshes in {}"),
        ("meshes:{}/absent", 4, "the folder {}/absent does not exist"),
        ("ssm:{}/Sacrum.h5", 4, "there is no LeftHip.h5 beside {}/Sacrum.h5"),
        ("ssm:{}", 4, "{} is a folder; a file is needed"),
        ("ssm:{}/other.h5", 4, "the file {}/other.h5 does not exist"),
        ("{}/absent", 4, "the folder {}/absent does not exist"),
    ],
)
def test_an_anatomy_source_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, code: int, said: str
) -> None:
    """Wrong words end with 2, missing files with 4; the sentence names them, nothing is written."""
    bones = tmp_path / "bones"
    bones.mkdir()
    (bones / "Sacrum.h5").touch()
    arguments = ["synth", "-o", str(tmp_path / "out"), "--cases", "1", "--seed", "1"]
    assert main([*arguments, "--anatomy", source.format(bones)]) == code
    told = capsys.readouterr().err
    assert said.format(bones) in told
    assert "meshes:DIR" in told or "Pelvis.glb" in told or "Both" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "pet"},
        {"formats": ("mha",)},
        {"formats": ()},
        {"seeds": []},
        {"making": Making(jobs=0)},
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    """A wrong word ends with exit code 2 and an empty folder."""
    arguments = {"seeds": [1], **wrong}
    with pytest.raises(UsageError) as caught:
        write_cases(tmp_path, **arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())
