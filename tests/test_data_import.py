"""Other people's labelled data: each layout in, names mapped, nothing guessed or half made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, MrWeighting
from sifdetect.cli import main
from sifdetect.errors import ConfigurationError, InputError, UsageError
from sifdetect.learn.external.importing import Layout, import_source, read_patients
from sifdetect.learn.external.names import UNKNOWN, UNKNOWN_LESION, meaning_of
from sifdetect.learn.external.source import Told
from sifdetect.learn.external.store import Dataset, read_dataset
from sifdetect.learn.external.voxels import read
from tests.labelled import (
    AFFINE,
    OURS,
    anatomy_of,
    hounsfield,
    nnunet_folder,
    saved,
    structures,
)

CT = Told(modality=Modality.CT)
STRUCTURES = ("l5", "hip_right", "hip_left", "sacrum")


def imported(source: Path, told: Told = CT, **options: object) -> tuple[Dataset, Path]:
    """The dataset made of a source, and its folder."""
    out = source.parent / "set"
    return import_source(source, out, told=told, **options), out  # type: ignore[arg-type]  # few


def written_map(folder: Path, text: str) -> Path:
    """A label map."""
    path = folder / "map.yaml"
    path.write_text(text)
    return path


def assert_is_the_case(folder: Path, dataset: Dataset, number: int = 0, seed: int = 0) -> None:
    """Image, labels and affine are those of the builders."""
    case = dataset.cases[number]
    image, anatomy = read(folder / case.images[0].file), read(folder / str(case.anatomy))
    assert_array_equal(image.values, hounsfield(seed))
    assert_array_equal(anatomy.values, anatomy_of(structures()))
    for one in (image, anatomy):
        np.testing.assert_allclose(one.affine_ras_mm, AFFINE, atol=1e-4)
    assert case.annotated == STRUCTURES


def test_nnunet_raw_is_read_by_its_lists(tmp_path: Path) -> None:
    """Channels and labels are called as dataset.json calls them."""
    dataset, out = imported(nnunet_folder(tmp_path / "raw", {"p1": 0, "p2": 7}), Told())
    assert [case.name for case in dataset.cases] == ["p1", "p2"]
    assert_is_the_case(out, dataset, 1, seed=7)
    assert read_dataset(out) == dataset
    assert dataset.source == {"name": "raw", "layout": "nnunet"}
    assert dataset.label_map["vertebrae_L5"] == "l5"


def test_channels_of_mr_have_their_weightings(tmp_path: Path) -> None:
    """Both images of a case lie beside its labels."""
    raw = nnunet_folder(tmp_path / "raw", {"p": 0}, channels=("STIR", "T1"))
    dataset, out = imported(raw, Told())
    kinds = [(image.modality, image.weighting) for image in dataset.cases[0].images]
    assert kinds == [(Modality.MR, MrWeighting.STIR), (Modality.MR, MrWeighting.T1)]
    assert_array_equal(read(out / "p/t1.nii.gz").values, hounsfield(100))


def test_regions_of_nnunet_overlap(tmp_path: Path) -> None:
    """A value may be bone and lesion at once; the ignore label is unknown in both maps."""
    labels = {"background": 0, "sacrum": [1, 2], "edema": [2, 3], "ignore": 4}
    raw = nnunet_folder(tmp_path / "raw", {"p": 0}, labels=labels)
    dataset, out = imported(raw)
    anatomy, lesions = (read(out / "p" / f"{one}.nii.gz").values for one in ("anatomy", "lesions"))
    drawn = structures()
    assert_array_equal(anatomy == AnatomyLabel.SACRAL_BODY, (drawn == 1) | (drawn == 2))
    assert_array_equal(lesions == LesionBit.EDEMA, (drawn == 2) | (drawn == 3))
    assert ((anatomy == UNKNOWN) == (drawn == 4)).all()
    assert ((lesions == UNKNOWN_LESION) == (drawn == 4)).all()
    assert dataset.cases[0].annotated == ("edema", "sacrum")


def test_a_decathlon_list_is_read(tmp_path: Path) -> None:
    """Labels by number; channels along the fourth axis become images."""
    both = np.stack([hounsfield(1), hounsfield(2)], axis=-1)
    saved(tmp_path / "raw/imagesTr/p.nii.gz", both)
    saved(tmp_path / "raw/labelsTr/p.nii.gz", structures())
    listed = {
        "modality": {"0": "T1", "1": "STIR"},
        "labels": {"0": "background"} | {str(value): name for name, value in OURS.items()},
        "training": [{"image": "./imagesTr/p.nii.gz", "label": "./labelsTr/p.nii.gz"}],
    }
    (tmp_path / "raw/list.json").write_text(json.dumps(listed))
    dataset = import_source(tmp_path / "raw/list.json", tmp_path / "set")
    assert [image.weighting for image in dataset.cases[0].images] == [
        MrWeighting.T1,
        MrWeighting.STIR,
    ]
    assert_array_equal(read(tmp_path / "set/p/stir.nii.gz").values, hounsfield(2))
    assert_array_equal(read(tmp_path / "set/p/anatomy.nii.gz").values, anatomy_of(structures()))


@pytest.mark.parametrize(
    ("image", "label"),
    [("p_image.nii.gz", "p_label.nii.gz"), ("images/p.nii.gz", "labels/p.nii.gz")],
)
def test_pairs_of_nifti_are_read(image: str, label: str, tmp_path: Path) -> None:
    """labels.json says what the values mean; without it the map does."""
    raw = tmp_path / "raw"
    saved(raw / image, hounsfield())
    saved(raw / label, structures())
    chosen = written_map(tmp_path, "".join(f"{v}: {n}\n" for n, v in OURS.items()).lower())
    dataset, out = imported(raw, labels=chosen)
    assert_is_the_case(out, dataset)
    (raw / "labels.json").write_text(json.dumps(OURS))
    dataset, out = imported(raw)
    assert_is_the_case(out, dataset)


@pytest.mark.parametrize("inner", ["", "segmentations"])
def test_a_folder_of_masks_is_read(inner: str, tmp_path: Path) -> None:
    """One image and a mask for each structure; a vertebra above L5 is but part of the spine."""
    home = tmp_path / "raw" / "p"
    saved(home / "ct.nii.gz", hounsfield())
    for name, value in OURS.items():
        saved(home / inner / f"{name}.nii.gz", (structures() == value).astype(np.uint8))
    dataset, out = imported(tmp_path / "raw", Told())
    assert_is_the_case(out, dataset)
    saved(home / inner / "vertebrae_L4.nii.gz", (structures() == 9).astype(np.uint8))
    dataset, _ = imported(tmp_path / "raw", Told())
    assert "lumbar" not in dataset.cases[0].annotated
    assert dataset.label_map["vertebrae_L4"] == "vertebrae_l4"


def test_unknown_names_are_listed_with_the_map_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2, and no folder is left."""
    raw = nnunet_folder(
        tmp_path / "raw", {"p": 0}, labels={"background": 0, "os x": 1, "sacrum": 2, "Blase": 3}
    )
    assert main(["data", "import", str(raw), "-o", str(tmp_path / "set")]) == 2
    said = capsys.readouterr().err
    assert "Nothing is known of the labels 'Blase', 'os x'" in said
    assert '"Blase": …; "os x": …' in said
    assert "--labels MAP.yaml" in said
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_map_names_what_is_unknown(tmp_path: Path) -> None:
    """Their name, whatever its case and punctuation, to ours; and a word for all the rest."""
    labels = {"background": 0, "Kreuzbein (os)": 1, "Blase": 2, "Haut": 3, "hip right": 4}
    raw = nnunet_folder(tmp_path / "raw", {"p": 0}, labels=labels)
    chosen = written_map(tmp_path, 'kreuzbein os: sacrum\n"*": background\n')
    dataset, _ = imported(raw, labels=chosen)
    assert dataset.cases[0].annotated == ("hip_right", "sacrum")
    assert dataset.label_map["Blase"] == "background"


@pytest.mark.parametrize("text", ["a: [", "- sacrum", "blase: bladder"])
def test_a_wrong_map_is_refused(text: str, tmp_path: Path) -> None:
    """It is not YAML, not a map, or names what does not exist here."""
    raw = nnunet_folder(tmp_path / "raw", {"p": 0})
    with pytest.raises(ConfigurationError):
        imported(raw, labels=written_map(tmp_path, text))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Sacrum", "sacrum"),
        ("vertebrae_L5", "l5"),
        ("hip-left", "hip_left"),
        ("Fracture", "fracture_line"),
        ("bone marrow oedema", "edema"),
        ("SI joint (left)", "background"),
    ],
)
def test_common_names_are_known(theirs: str, ours: str) -> None:
    """In any case and punctuation."""
    meaning = meaning_of(theirs, {})
    assert meaning is not None
    assert meaning.structure == ours


def test_masks_on_different_grids_are_refused(tmp_path: Path) -> None:
    """The two files are named, and how they differ."""
    saved(tmp_path / "raw/p/ct.nii.gz", hounsfield())
    saved(tmp_path / "raw/p/hip_left.nii.gz", structures())
    saved(tmp_path / "raw/p/sacrum.nii.gz", structures()[:-2])
    with pytest.raises(InputError, match=r"p/sacrum.*p/hip_left.*same shape"):
        imported(tmp_path / "raw")


def test_a_value_without_a_name_is_refused(tmp_path: Path) -> None:
    """The file and the value are told."""
    labels = {name: value for name, value in OURS.items() if value != 3}
    raw = nnunet_folder(tmp_path / "raw", {"p": 0}, labels={"background": 0, **labels})
    with pytest.raises(UsageError, match=r"labelsTr/p.nii.gz holds the values 3"):
        imported(raw)


def test_the_modality_is_never_guessed(tmp_path: Path) -> None:
    """Files that do not say it stop the import with the option to add."""
    saved(tmp_path / "raw/p_image.nii.gz", hounsfield())
    saved(tmp_path / "raw/p_label.nii.gz", structures())
    with pytest.raises(UsageError, match="--modality ct or mr"):
        imported(tmp_path / "raw", Told())
    told = Told(modality=Modality.MR, weightings=(MrWeighting.STIR,))
    (tmp_path / "raw/labels.json").write_text(json.dumps(OURS))
    dataset, _ = imported(tmp_path / "raw", told)
    assert dataset.cases[0].images[0].kind == "STIR"


def test_patients_come_from_a_table_or_the_name(tmp_path: Path) -> None:
    """A table goes before the subject of a BIDS name; else every case is a patient."""
    raw = nnunet_folder(tmp_path / "raw", {"sub-1_ses-a": 0, "sub-1_ses-b": 1, "x": 2})
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\nx,sub-1\n")
    assert {case.patient for case in imported(raw)[0].cases} == {"sub-1", "x"}
    told = Told(patients=read_patients(table))
    assert {case.patient for case in imported(raw, told)[0].cases} == {"sub-1"}
    table.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns case and patient"):
        read_patients(table)


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    """Only an earlier dataset is."""
    raw = nnunet_folder(tmp_path / "raw", {"p": 0})
    (tmp_path / "set").mkdir()
    (tmp_path / "set/letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="did not write"):
        imported(raw)
    assert (tmp_path / "set/letter.txt").read_text() == "dear"


@pytest.mark.parametrize("layout", list(Layout))
def test_an_empty_folder_is_refused_in_any_layout(layout: Layout, tmp_path: Path) -> None:
    """Each with an error that can be named."""
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError):
        imported(tmp_path / "raw", layout=layout)


def test_an_import_that_fails_leaves_the_dataset_that_was_there(tmp_path: Path) -> None:
    """A damaged file in the second case: the earlier dataset stays, nothing half-written beside."""
    raw = nnunet_folder(tmp_path / "raw", {"p1": 0, "p2": 1})
    before, out = imported(raw)
    (raw / "labelsTr/p2.nii.gz").write_bytes(b"no longer a label")
    with pytest.raises(InputError, match=r"p2.nii.gz is not a readable NIfTI file"):
        imported(raw)
    assert read_dataset(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "set"]
