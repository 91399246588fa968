"""Each fault of a dataset is found and named: file, field, difference, fix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sifdetect.anatomy import AnatomyLabel
from sifdetect.cli import main
from sifdetect.errors import UnreadableInput
from sifdetect.learn.external.check import check_dataset
from sifdetect.learn.external.faults import Fault
from sifdetect.learn.external.voxels import Voxels
from tests.labelled import (
    AFFINE,
    anatomy_of,
    changed,
    dataset,
    hounsfield,
    structures,
    with_image,
    with_labels,
)

LABELS, IMAGE = "a/anatomy.nii.gz", "a/ct.nii.gz"


def faults(folder: Path) -> list[Fault]:
    """All faults of a dataset."""
    return list(check_dataset(folder))


def only(folder: Path) -> Fault:
    """The one fault of a dataset."""
    (fault,) = faults(folder)
    return fault


def moved(shift_ras_mm: tuple[float, float, float]) -> np.ndarray:
    """The affine with another origin."""
    affine = AFFINE.copy()
    affine[:3, 3] += shift_ras_mm
    return affine


def test_a_sound_dataset_has_no_fault(tmp_path: Path) -> None:
    """Two patients, labels on their images."""
    assert faults(dataset(tmp_path, "a", "b")) == []


def test_shifted_labels_are_told_by_how_much(tmp_path: Path) -> None:
    """Millimetres to the left, back and top."""
    folder = dataset(tmp_path)
    labels = Voxels(anatomy_of(structures()), moved((-4.0, 0.0, 3.0)))
    with_labels(folder, LABELS, labels)
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "origin")
    assert fault.difference.startswith(f"5.0 mm off that of {IMAGE} (4 × ")
    assert "Resample the labels" in fault.fix


def test_labels_of_another_shape_are_told(tmp_path: Path) -> None:
    """Both sizes are named."""
    folder = dataset(tmp_path)
    with_labels(folder, LABELS, Voxels(anatomy_of(structures())[:, :, :-1], AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "shape")
    assert fault.difference == f"40 × 14 × 21 voxels, {IMAGE} has 40 × 14 × 22"


def test_labels_of_another_spacing_are_told(tmp_path: Path) -> None:
    """Millimetres along each axis."""
    folder = dataset(tmp_path)
    affine = AFFINE @ np.diag([1.0, 1.0, 1.1, 1.0])
    with_labels(folder, LABELS, Voxels(anatomy_of(structures()), affine))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "spacing")
    assert fault.difference == f"3 × 4 × 5.5 mm, {IMAGE} has 3 × 4 × 5 mm"


def test_labels_of_another_direction_are_told(tmp_path: Path) -> None:
    """An axis that runs the other way is 180° off."""
    folder = dataset(tmp_path)
    affine = AFFINE @ np.diag([1.0, -1.0, 1.0, 1.0])
    with_labels(folder, LABELS, Voxels(anatomy_of(structures()), affine))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "direction")
    assert "180.0°" in fault.difference


def test_labels_that_mean_nothing_are_told(tmp_path: Path) -> None:
    """The values are listed."""
    folder = dataset(tmp_path)
    values = anatomy_of(structures())
    values[0, 0, 0], values[1, 0, 0] = 77, 13
    with_labels(folder, LABELS, Voxels(values, AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "labels")
    assert fault.difference == "the values 13, 77 mean nothing here"
    assert "--labels MAP.yaml" in fault.fix


def test_labels_that_are_not_listed_are_told(tmp_path: Path) -> None:
    """What is drawn and not annotated would be taken for unknown elsewhere."""
    folder = dataset(tmp_path)
    changed(folder, "a", annotated=("sacrum", "hip_left", "l5"))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "annotated")
    assert f"the values {AnatomyLabel.HIP_RIGHT} are there" in fault.difference


def test_what_is_listed_without_a_file_is_told(tmp_path: Path) -> None:
    """Lesions that were looked for need a map, even an empty one."""
    folder = dataset(tmp_path)
    changed(folder, "a", annotated=("sacrum", "hip_left", "hip_right", "l5", "edema"))
    fault = faults(folder)[0]
    assert (fault.file, fault.field) == ("dataset.json", "annotated of a")
    assert "edema are listed, but there is no file" in fault.difference


def test_a_structure_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """With those that do."""
    folder = dataset(tmp_path)
    changed(folder, "a", annotated=("sacrum", "hip_left", "hip_right", "l5", "bladder"))
    fault = faults(folder)[0]
    assert (fault.file, fault.field) == ("dataset.json", "annotated of a")
    assert fault.difference == "bladder are no structures"
    assert "fracture_line" in fault.fix


def test_empty_labels_are_told(tmp_path: Path) -> None:
    """All voxels are 0."""
    folder = dataset(tmp_path)
    with_labels(folder, LABELS, Voxels(np.zeros_like(structures()), AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "labels")
    assert fault.difference == "all voxels are 0: nothing is outlined"


def test_a_label_that_no_case_has_is_told(tmp_path: Path) -> None:
    """A structure that is drawn nowhere was probably not looked for."""
    folder = dataset(tmp_path)
    changed(folder, "a", voxels={"sacrum": 9, "hip_left": 9, "l5": 9, "hip_right": 0})
    fault = only(folder)
    assert (fault.file, fault.field) == ("dataset.json", "label hip_right")


def test_swapped_hips_are_told(tmp_path: Path) -> None:
    """By the patient's coordinates, not by the array."""
    folder = dataset(tmp_path)
    values = anatomy_of(structures())
    right, left = (values == AnatomyLabel.HIP_RIGHT), (values == AnatomyLabel.HIP_LEFT)
    values[right], values[left] = AnatomyLabel.HIP_LEFT, AnatomyLabel.HIP_RIGHT
    with_labels(folder, LABELS, Voxels(values, AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == (LABELS, "sides of hip")
    assert fault.difference == "hip_left lies 78 mm to the right of hip_right"
    assert "the picture is mirrored" in fault.fix


def test_alae_that_do_not_agree_with_the_hips_are_told(tmp_path: Path) -> None:
    """Where the hips are right, the alae are the ones to exchange."""
    folder = dataset(tmp_path)
    values = anatomy_of(structures())
    sacrum = values == AnatomyLabel.SACRAL_BODY
    across = np.broadcast_to(np.arange(40)[:, None, None], values.shape)
    values[sacrum & (across < 17)] = AnatomyLabel.SACRAL_ALA_LEFT
    values[sacrum & (across > 22)] = AnatomyLabel.SACRAL_ALA_RIGHT
    with_labels(folder, LABELS, Voxels(values, AFFINE))
    fault = only(folder)
    assert fault.field == "sides of sacral_ala"
    assert fault.difference.endswith("while hip lie on their sides")
    assert fault.fix == "Exchange sacral_ala_right and sacral_ala_left"


def test_one_hip_on_the_wrong_side_of_the_sacrum_is_told(tmp_path: Path) -> None:
    """Without the other hip the sacrum is the midline."""
    folder = dataset(tmp_path)
    values = anatomy_of(structures())
    values[values == AnatomyLabel.HIP_RIGHT] = 0
    values[values == AnatomyLabel.HIP_LEFT] = AnatomyLabel.HIP_RIGHT
    with_labels(folder, LABELS, Voxels(values, AFFINE))
    assert only(folder).field == "sides of hip"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda hu: hu + 1024, "no value is below"),
        (lambda hu: np.round((hu + 1000) / 1250, 3), "they were scaled"),
        (lambda hu: hu * 40.0, "values from"),
        (lambda hu: hu - 700, "the median of the annotated bone is -4"),
    ],
    ids=["no intercept", "scaled", "too large", "bone like fat"],
)
def test_ct_that_is_not_in_hounsfield_units_is_told(
    change: object, said: str, tmp_path: Path
) -> None:
    """By its range, and by the bone under the labels."""
    folder = dataset(tmp_path)
    values = change(hounsfield().astype(np.float32)).astype(np.float32)  # type: ignore[operator]  # a function
    with_image(folder, "a", Voxels(values, AFFINE))
    found = faults(folder)
    assert {(one.file, one.field) for one in found} == {(IMAGE, "Hounsfield units")}
    assert any(said in one.difference for one in found)


def test_values_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    """NaN and infinity alike."""
    folder = dataset(tmp_path)
    values = hounsfield().astype(np.float32)
    values[0, 0, :3], values[0, 1, 0] = np.nan, np.inf
    with_image(folder, "a", Voxels(values, AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == (IMAGE, "values")
    assert fault.difference.startswith("4 of 12320 voxels are not a finite number")


def test_sheared_axes_are_told(tmp_path: Path) -> None:
    """In degrees; image and labels alike."""
    folder = dataset(tmp_path)
    affine = AFFINE.copy()
    affine[1, 0] = 0.3
    with_image(folder, "a", Voxels(hounsfield(), affine))
    with_labels(folder, LABELS, Voxels(anatomy_of(structures()), affine))
    found = faults(folder)
    assert [(one.file, one.field) for one in found] == [(IMAGE, "affine"), (LABELS, "affine")]
    assert "5.6° off right angles" in found[0].difference


def test_a_patient_in_two_splits_is_told(tmp_path: Path) -> None:
    """With the cases that part them."""
    folder = dataset(tmp_path, "a", "b")
    changed(folder, "a", patient="p", split="training")
    changed(folder, "b", patient="p", split="validation")
    fault = only(folder)
    assert (fault.file, fault.field) == ("dataset.json", "split of patient p")
    assert fault.difference == "the patient is in training (a), validation (b)"


def test_the_same_image_twice_is_told(tmp_path: Path) -> None:
    """However the file is called; in another split it is worse."""
    folder = dataset(tmp_path, "a", "b")
    with_image(folder, "b", Voxels(hounsfield(0), AFFINE))
    fault = only(folder)
    assert (fault.file, fault.field) == ("b/ct.nii.gz", "duplicate")
    assert fault.difference == f"the same voxels as {IMAGE}"
    changed(folder, "b", split="validation")
    changed(folder, "a", split="training")
    assert only(folder).difference.endswith("in another split")


def test_a_file_that_is_missing_or_changed_is_told(tmp_path: Path) -> None:
    """The other cases are still looked at."""
    folder = dataset(tmp_path, "a", "b")
    (folder / LABELS).unlink()
    with_labels(folder, "b/ct.nii.gz", Voxels(hounsfield(5), AFFINE))
    first, second = faults(folder)
    assert (first.file, first.field) == (LABELS, "file")
    assert (second.file, second.field) == ("b/ct.nii.gz", "checksum")


def test_the_command_tells_faults_and_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object a fault, a picture of each case; 0 where nothing is wrong."""
    folder, pictures = dataset(tmp_path, "a", "b"), tmp_path / "pictures"
    assert main(["data", "check", str(folder), "-o", str(pictures)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png", "b.png"]
    with Image.open(pictures / "a.png") as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(120, 200, 230), (230, 110, 110), (110, 130, 255)} <= colors
    with_labels(folder, LABELS, Voxels(np.zeros_like(structures()), AFFINE))
    assert main(["data", "check", str(folder), "--json"]) == 4
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(row) == {"file", "field", "difference", "fix"}


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    """The message says how to make one."""
    with pytest.raises(UnreadableInput, match="sifdetect data import"):
        faults(tmp_path)
