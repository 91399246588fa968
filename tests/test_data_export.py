"""nnU-Net v2 raw: what is exported and imported again is what it was, voxel by voxel."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality
from sifdetect.cli import main
from sifdetect.errors import UsageError
from sifdetect.learn import cases
from sifdetect.learn.external.export import Naming, export_nnunet
from sifdetect.learn.external.importing import import_source
from sifdetect.learn.external.names import MEANINGS
from sifdetect.learn.external.store import CaseRecord, Dataset, ImageRecord, write_dataset
from sifdetect.learn.external.voxels import Voxels, read, write
from tests.labelled import changed, dataset, hounsfield, nnunet_folder
from tests.test_cases import case

PARTS = tuple(name for name, one in MEANINGS.items() if one.anatomy and name != "sacrum")
LESIONS = tuple(str(bit.name).lower() for bit in LesionBit)
ANNOTATED = (*(name for name in PARTS if not MEANINGS[name].part), *LESIONS)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Voxels, Voxels, Voxels]:
    """Image, anatomy and lesions of any size on any lattice at right angles."""
    shape = draw(st.tuples(*[st.integers(2, 6)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    affine = np.eye(4)
    turned = Rotation.random(random_state=rng.integers(1 << 30)).as_matrix()
    affine[:3, :3] = turned * rng.uniform(0.4, 6.0, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    kind = draw(st.sampled_from((np.int16, np.float32, np.uint8)))
    image = (rng.normal(20, 60, shape)).astype(kind)
    anatomy = rng.choice([label.value for label in AnatomyLabel], shape).astype(np.uint8)
    lesions = (rng.integers(0, 32, shape) * (rng.random(shape) < 0.4)).astype(np.uint8)
    return Voxels(image, affine), Voxels(anatomy, affine), Voxels(lesions, affine)


def written(folder: Path, made: tuple[Voxels, Voxels, Voxels]) -> Dataset:
    """A dataset with one case of everything."""
    (folder / "p").mkdir(parents=True)
    for name, voxels in zip(("ct", "anatomy", "lesions"), made, strict=True):
        write(folder / "p" / f"{name}.nii.gz", voxels)
    image = ImageRecord("p/ct.nii.gz", Modality.CT, None, "", "")
    one = CaseRecord("p", "somebody", (image,), "p/anatomy.nii.gz", "p/lesions.nii.gz", ANNOTATED)
    made_of = Dataset({}, {}, (one,))
    write_dataset(folder, made_of)
    return made_of


# A busy machine is slow.
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(labelled())
def test_export_and_import_give_the_same_voxels(made: tuple[Voxels, Voxels, Voxels]) -> None:
    """Image, anatomy, lesions that overlap it and each other, the affine, patient, annotated."""
    with tempfile.TemporaryDirectory() as home:
        before = written(Path(home, "set"), made)
        raw = export_nnunet(Path(home, "set"), Path(home))
        after = import_source(raw, Path(home, "again"))
        for name in ("ct", "anatomy", "lesions"):
            one = read(Path(home, "set/p", f"{name}.nii.gz"))
            other = read(Path(home, "again/p", f"{name}.nii.gz"))
            assert_array_equal(other.values, one.values)
            assert_array_equal(other.affine_ras_mm, one.affine_ras_mm)
        assert after.cases[0].patient == "somebody"
        assert set(after.cases[0].annotated) == set(before.cases[0].annotated)


def test_the_folder_is_what_nnunet_asks_for(tmp_path: Path) -> None:
    """Names, channels, consecutive values, and plain labels where nothing overlaps."""
    source = dataset(tmp_path, "a", "b")
    assert main(["data", "export", str(source), "-o", str(tmp_path), "--id", "7"]) == 0
    raw = tmp_path / "Dataset007_Sacrum"
    files = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.*"))
    assert files == [
        "dataset.json",
        "imagesTr/a_0000.nii.gz",
        "imagesTr/b_0000.nii.gz",
        "labelsTr/a.nii.gz",
        "labelsTr/b.nii.gz",
    ]
    told = json.loads((raw / "dataset.json").read_text())
    assert told["channel_names"] == {"0": "CT"}
    assert (told["numTraining"], told["file_ending"]) == (2, ".nii.gz")
    assert sorted(told["labels"].values()) == list(range(len(told["labels"]))) == [0, 1, 2, 3, 4]
    assert "regions_class_order" not in told
    present = np.unique(read(raw / "labelsTr/a.nii.gz").values)
    assert present.tolist() == [0, 1, 2, 3, 4]


def test_overlapping_labels_become_regions(tmp_path: Path) -> None:
    """Each region lists its values, and the order of the classes has one entry a region."""
    made = (
        Voxels(hounsfield(), np.eye(4)),
        Voxels(np.full(hounsfield().shape, AnatomyLabel.L5, np.uint8), np.eye(4)),
        Voxels((hounsfield() > 0).astype(np.uint8) * np.uint8(3), np.eye(4)),
    )
    written(tmp_path / "set", made)
    raw = export_nnunet(tmp_path / "set", tmp_path, naming=Naming(12, "Mixed"))
    told = json.loads((raw / "dataset.json").read_text())
    assert told["labels"] == {"background": 0, "l5": [1, 2], "edema": [2], "fracture_line": [2]}
    assert len(told["regions_class_order"]) == 3


def test_synthetic_cases_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind of image at a time; the labels are those of that image."""
    made = case()
    monkeypatch.setattr(cases, "make_case", lambda *_, **__: made)
    cases.write_cases(tmp_path / "cases", [3], formats=("nifti",))
    with pytest.raises(UsageError, match=r"different images, .*CT: 1; STIR: 1; T1: 1"):
        export_nnunet(tmp_path / "cases", tmp_path)
    raw = export_nnunet(tmp_path / "cases", tmp_path, kind="STIR")
    again = import_source(raw, tmp_path / "again")
    assert [(one.name, one.patient) for one in again.cases] == [("case-000003_stir", "case-000003")]
    anatomy = read(tmp_path / "again/case-000003_stir/anatomy.nii.gz").values
    assert_array_equal(anatomy, made.anatomy[1].values)
    assert_array_equal(
        read(tmp_path / "again/case-000003_stir/lesions.nii.gz").values, made.lesions[1].values
    )
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["Dataset501_Sacrum", "again", "cases"]


def test_what_was_not_annotated_stays_unknown(tmp_path: Path) -> None:
    """A case without hips comes back without hips, though others have them."""
    source = dataset(tmp_path, "a", "b")
    changed(source, "b", annotated=("sacrum", "l5"))
    again = import_source(export_nnunet(source, tmp_path), tmp_path / "again")
    assert again.cases[0].annotated == ("l5", "hip_right", "hip_left", "sacrum")
    assert again.cases[1].annotated == ("sacrum", "l5")


def test_whole_sacra_and_parts_do_not_mix(tmp_path: Path) -> None:
    """One value cannot mean both; the two cases are named."""
    source = dataset(tmp_path, "a", "b")
    changed(source, "b", annotated=("sacral_body",))
    with pytest.raises(UsageError, match="whole in a and in parts in b"):
        export_nnunet(source, tmp_path)


@pytest.mark.parametrize("naming", [(0, "Sacrum"), (1000, "Sacrum"), (5, "my set")])
def test_a_name_that_nnunet_does_not_take_is_refused(naming: tuple[int, str]) -> None:
    """Three digits, letters and digits."""
    with pytest.raises(UsageError):
        Naming(*naming)


def test_no_image_of_a_kind_is_told(tmp_path: Path) -> None:
    """Nothing is written."""
    nnunet_folder(tmp_path / "raw", {"p": 0})
    import_source(tmp_path / "raw", tmp_path / "set")
    with pytest.raises(UsageError, match="no image of that kind"):
        export_nnunet(tmp_path / "set", tmp_path / "out", kind="STIR")
    assert not list((tmp_path / "out").iterdir())
