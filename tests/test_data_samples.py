"""Samples from real data: in the sacral frame, in the trainer's format, with what is known."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from sifdetect.anatomy import (
    REGION_CLASS_OF_LABEL,
    SACRUM_LABELS,
    AnatomyLabel,
    LesionBit,
    LocalizerClass,
    Modality,
    MrWeighting,
    RegionClass,
)
from sifdetect.bundle import Task, localizer_spec, region_spec
from sifdetect.cli import main
from sifdetect.errors import InputError
from sifdetect.findings import Morphology
from sifdetect.learn.augment import Recipe, draw_patch
from sifdetect.learn.dataset import Pool, jittered
from sifdetect.learn.external.frame import frame_of_sacrum
from sifdetect.learn.external.importing import import_source
from sifdetect.learn.external.known import Known
from sifdetect.learn.external.pool import write_pool
from sifdetect.learn.external.sample import Examination, localizer_sample, region_sample
from sifdetect.learn.external.source import Told
from sifdetect.learn.external.split import split_dataset
from sifdetect.learn.external.voxels import on_grid, write
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.volume import Grid, LabelMap, SacralFrame, Volume
from tests.bundles import PaintedModels, Painting

PARTS = tuple(label.name.lower() for label in AnatomyLabel if label)
UPRIGHT = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
SIZE = (48, 48, 48)


@cache
def pelvis() -> tuple[CaseParams, LabelMap]:
    """A synthetic patient and the anatomy on coarse, anisotropic voxels along the table."""
    case = sample_case(21, morphology=Morphology.NONE)
    box = SacralFrame(case.frame.origin_lps_mm + np.array([4, -5, 6]), UPRIGHT)
    whole = box.grid((-96, -84, -100), (96, 84, 92), 4.0).resized((4.0, 3.0, 6.0))
    anatomy = scene_at(case, points_of(case, whole), 4.0).anatomy()
    return case, LabelMap(anatomy, whole)


def examination(
    annotated: tuple[str, ...] = PARTS,
    *,
    weighting: MrWeighting | None = None,
    lesions: NDArray[np.uint8] | None = None,
) -> Examination:
    """The synthetic patient: an image that shows the labels, and what is said to be annotated."""
    _, anatomy = pelvis()
    values = anatomy.values.astype(np.float32) * 50 + 20
    if annotated and "sacral_body" not in annotated and "sacrum" in annotated:
        merged = np.where(np.isin(anatomy.values, SACRUM_LABELS), 1, anatomy.values)
        kept = np.isin(merged, [1, *(AnatomyLabel[name.upper()] for name in annotated[1:])])
        anatomy = LabelMap(np.where(kept, merged, 0).astype(np.uint8), anatomy.grid)
    modality = Modality.CT if weighting is None else Modality.MR
    drawn = np.zeros(anatomy.grid.shape, np.uint8) if lesions is None else lesions
    return Examination(
        (Volume(values, anatomy.grid, modality, weighting),),
        anatomy,
        LabelMap(drawn, anatomy.grid),
        annotated,
    )


def test_the_frame_of_an_outlined_sacrum_is_that_of_the_generator() -> None:
    """Origin within 5 mm, axes within 6°; coverage comes with it."""
    case, anatomy = pelvis()
    fitted = frame_of_sacrum(anatomy)
    assert fitted is not None
    off_mm = np.linalg.norm(fitted.frame.origin_lps_mm - case.frame.origin_lps_mm)
    turn = fitted.frame.axes @ case.frame.axes.T
    assert off_mm < 5
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 6
    assert fitted.frame.coverage[1] == 1  # type: ignore[index]  # S1
    nothing = LabelMap(np.zeros_like(anatomy.values), anatomy.grid)
    assert frame_of_sacrum(nothing) is None


def test_a_region_sample_shows_each_place_of_the_patient_where_it_lies() -> None:
    """At every voxel of the box the class is that of the label there."""
    case, anatomy = pelvis()
    sample = region_sample(examination(), case.frame, np.random.default_rng(4))
    spec = region_spec(Modality.CT)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    frame = jittered(case.frame, np.random.default_rng(4))
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    assert sample["region"].shape == grid.shape == spec.shape
    table = np.array([REGION_CLASS_OF_LABEL[label] for label in AnatomyLabel])
    nearest = table[anatomy.resampled(grid).values]
    known = sample["known"] & Known.CLASS > 0
    assert (sample["region"] == nearest)[known].mean() > 0.95
    assert_array_equal(sample["possible"][known], 1 << sample["region"][known])
    image = (sample["ct"].astype(np.float32) - 20) / 50
    inside = sample["region"] == RegionClass.HIP
    assert 9 < np.median(image[inside]) < 11


def test_lesions_keep_their_bits_and_thin_lines_their_length() -> None:
    """A line of one voxel is not lost among coarser ones; what is not annotated is not known."""
    case, anatomy = pelvis()
    lesions = np.zeros(anatomy.grid.shape, np.uint8)
    index = np.rint(anatomy.grid.mm_to_index(case.frame.origin_lps_mm)).astype(int)
    lesions[index[0], :, index[2]] = LesionBit.FRACTURE_LINE
    lesions[index[0] - 3 : index[0] + 3, :, index[2]] |= np.uint8(LesionBit.EDEMA)
    exam = examination((*PARTS, "fracture_line"), weighting=MrWeighting.STIR, lesions=lesions)
    sample = region_sample(exam, case.frame, np.random.default_rng(1))
    line = (sample["lesions"] & LesionBit.FRACTURE_LINE) > 0
    held = np.flatnonzero(line.any(axis=(0, 2)))
    assert len(held) > 60
    assert (np.diff(held) == 1).all()
    seen = sample["known"][sample["known"] > 0]
    assert (seen & LesionBit.FRACTURE_LINE > 0).all()
    assert not (seen & (LesionBit.EDEMA | Known.PLACE)).any()


@pytest.mark.parametrize("weighting", [None, MrWeighting.STIR, MrWeighting.T1])
def test_todays_trainer_takes_the_samples(weighting: MrWeighting | None) -> None:
    """Patches of finite numbers, with classes and image; an absent role is an empty channel."""
    case, _ = pelvis()
    exam = examination(weighting=weighting)
    modality = exam.modality
    rng = np.random.default_rng(0)
    region = Recipe(region_spec(modality), SIZE, cut=0.0, single=0.0, remodelled=0.0)
    patch = draw_patch(region_sample(exam, case.frame, rng), region, rng)
    assert np.isfinite(patch.channels).all()
    assert len(np.unique(patch.classes)) > 2
    if weighting is not None:
        absent = 1 if weighting.fluid_sensitive else 0
        assert not patch.channels[absent].any()
        assert patch.channels[1 - absent].any()
    sample = localizer_sample(exam, case.frame)
    patch = draw_patch(sample, Recipe(localizer_spec(modality), SIZE, cut=0.0), rng)
    assert np.isfinite(patch.targets).all()
    assert patch.channels.std() > 0
    assert (sample["known"] & Known.PLACE > 0).all()


def test_the_place_of_a_localizer_sample_is_that_in_the_frame() -> None:
    """In units of 100 mm, zero at the origin."""
    case, anatomy = pelvis()
    sample = localizer_sample(examination(("sacrum", "l5")), case.frame)
    sacrum = sample["classes"] == LocalizerClass.SACRUM
    middle = sample["place"][:, sacrum].astype(np.float64).mean(axis=1) * 100
    truth = np.argwhere(np.isin(anatomy.values, SACRUM_LABELS)).mean(axis=0)
    expected = case.frame.to_frame_mm(anatomy.grid.index_to_mm(truth))
    np.testing.assert_allclose(middle, expected, atol=2.0)


def painted_dataset(folder: Path, *names: str) -> Path:
    """Scans that a painted localizer reads, with edema outlined and no bone."""
    grid = Grid((44, 40, 44), np.diag([4.0, 4.0, 4.0, 1.0]))
    for number, name in enumerate(names):
        values = Painting(grid, grid.center_lps_mm).values
        values[0, 0, 0] = -1000 - number
        edema = np.zeros(grid.shape, np.uint8)
        edema[20:24, 18:22, 20:24] = 1
        home = folder / "raw" / name
        home.mkdir(parents=True)
        write(home / "ct.nii.gz", on_grid(values, grid))
        write(home / "edema.nii.gz", on_grid(edema, grid))
    import_source(folder / "raw", folder / "set", told=Told(modality=Modality.CT))
    return folder / "set"


def test_a_pool_has_its_validation_first(tmp_path: Path) -> None:
    """By patients of the split; the list tells case, patient, split and frame of each sample."""
    folder = painted_dataset(tmp_path, "a", "b")
    split_dataset(folder, validation=0.5, seed=1)
    made = write_pool(
        folder, tmp_path / "pool", task=Task.REGION, models=PaintedModels(), repeats=2
    )
    assert (made.samples, made.held_out, made.left_out) == (4, 2, {})
    told = json.loads((tmp_path / "pool/samples.json").read_text())
    assert [row["split"] for row in told["samples"]] == ["validation"] * 2 + ["training"] * 2
    assert all(row["frame"].startswith("localizer") for row in told["samples"])
    names = Pool(tmp_path / "pool").names()
    assert [path.name for path in names] == [row["file"] for row in told["samples"]]
    first, second = (np.load(path) for path in names[:2])
    assert not np.array_equal(first["ct"], second["ct"])
    assert (first["lesions"] == LesionBit.EDEMA).any()
    assert not (first["known"] & Known.CLASS).any()


def test_a_case_without_a_frame_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are made; where none is left the command fails and writes nothing."""
    folder = painted_dataset(tmp_path, "a", "b")
    grid = Grid((44, 40, 44), np.diag([4.0, 4.0, 4.0, 1.0]))
    write(folder / "b/ct.nii.gz", on_grid(np.full(grid.shape, 7, np.int16), grid))
    made = write_pool(folder, tmp_path / "pool", task=Task.LOCALIZER, models=PaintedModels())
    assert made.samples == 1
    assert made.left_out["b"].startswith("b has no frame: too little of the sacrum is outlined")
    write(folder / "a/ct.nii.gz", on_grid(np.full(grid.shape, 7, np.int16), grid))
    with pytest.raises(InputError, match=r"No case of .* gives a sample"):
        write_pool(folder, tmp_path / "none", task=Task.LOCALIZER, models=PaintedModels())
    assert not (tmp_path / "none").exists()


@pytest.mark.real
def test_a_real_ct_with_masks_becomes_samples(real_scans: Path, tmp_path: Path) -> None:
    """Imported with its masks, nothing wrong with it, region and localizer samples of it."""
    folder = tmp_path / "set"
    source = str(real_scans / "ct_example")
    assert main(["data", "import", source, "-o", str(folder)]) == 0
    assert main(["data", "check", str(folder), "-o", str(tmp_path / "pictures")]) == 0
    for task in ("region", "localizer"):
        pool = tmp_path / task
        assert main(["data", "samples", str(folder), "-o", str(pool), "--task", task]) == 0
    with np.load(tmp_path / "region/0000000.npz") as sample:
        sacrum = sample["possible"] == 0b111110
        hip = sample["possible"] == 1 << RegionClass.HIP
        assert 60_000 < sacrum.sum() * 1.5**3 < 300_000
        assert np.median(sample["ct"][hip]) > 100
        x = np.argwhere(sacrum).mean(axis=0) - np.array(sacrum.shape) / 2
        assert abs(x[0]) * 1.5 < 15
