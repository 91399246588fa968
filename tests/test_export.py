"""Exporting: a bundle that MONAI's own tools open, verify and run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle.scripts import verify_metadata, verify_net_in_out
from numpy.typing import NDArray

from sifdetect.anatomy import Modality
from sifdetect.bundle import BundleSpec, localizer_spec, region_spec, verify
from sifdetect.engine import Engine, Models
from sifdetect.errors import ModelError
from sifdetect.learn.export import export, export_again
from sifdetect.segment import Roles, interpret, prepare
from sifdetect.volume import Grid, SacralFrame, Volume
from tests.bundles import random_state, small

FRAME = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))
REQUIRED = [
    *("version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
    *("required_packages_version", "task", "description", "authors", "copyright"),
    "network_data_format",
]
"""What MONAI's metadata schema asks for."""


def exported(spec: BundleSpec, folder: Path) -> Path:
    """A small bundle with random weights."""
    export(random_state(small(spec)), small(spec), folder)
    return folder / spec.name


def save(path: Path, volume: Volume) -> None:
    """The volume as NIfTI, which counts its millimetres to the right, front and top (RAS)."""
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine_lps_mm
    image = nib.Nifti1Image(volume.values, ras)  # type: ignore[no-untyped-call]  # nibabel's
    nib.save(image, path)


def region_volume(modality: Modality, seed: int) -> Volume:
    """Noise on exactly the region's grid."""
    spec = region_spec(modality)
    grid = FRAME.grid(spec.low_mm or (), spec.high_mm or (), spec.spacing_mm)
    values = np.random.default_rng(seed).uniform(0, 600, grid.shape).astype(np.float32)
    return Volume(values, grid, modality)


def run_monai(bundle: Path, data: Path) -> dict[str, NDArray[np.uint8]]:
    """What ``monai.bundle run`` writes for the images in ``data``, by the last word of its name."""
    config = str(bundle / "configs/inference.json")
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", config]
    done = subprocess.run(
        [*command, "--dataset_dir", str(data)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for path in (data / "eval").glob("*.nii.gz"):
        image = nib.nifti1.load(path)  # type: ignore[no-untyped-call]  # nibabel's
        name = path.name.removesuffix(".nii.gz").rpartition("_")[2]
        found[name] = np.asarray(image.dataobj, dtype=np.uint8)
    return found


@pytest.mark.parametrize("modality", Modality)
def test_monai_alone_gives_the_same_labels(modality: Modality, tmp_path: Path) -> None:
    """The bundle's own config, run unmodified, agrees with the library on the region's classes."""
    bundle = exported(region_spec(modality), tmp_path)
    one, other = region_volume(modality, 1), region_volume(modality, 2)
    roles = Roles(None, one) if modality is Modality.CT else Roles(one, other)
    data = tmp_path / "data"
    data.mkdir()
    save(data / "case_fluid_sensitive.nii.gz", one)
    if modality is Modality.MR:
        save(data / "case_anatomical.nii.gz", other)
    by_monai = run_monai(bundle, data)
    loaded = Models(tmp_path, engine=Engine.TORCH).region(modality)
    prepared = prepare(roles, FRAME, loaded.spec)
    output = loaded.network(prepared.channels)
    assert (by_monai["anatomy"] == output[:8].argmax(axis=0)).mean() > 0.9999
    bits = sum((output[8 + n] >= 0).astype(int) << n for n in range(5))
    assert (by_monai["lesions"] == bits).mean() > 0.9999
    assert interpret(output, prepared, FRAME, loaded.spec).grid.same_place(one.grid)


def test_monai_alone_runs_the_localizer_on_any_stack(tmp_path: Path) -> None:
    """An oblique stack with non-square pixels goes in, a 4 mm label image comes out."""
    bundle = exported(localizer_spec(Modality.CT), tmp_path)
    affine = np.diag([0.9, 1.3, 4.5, 1.0])
    affine[:3, :3] = np.array([[0, 0.1, 0.995], [1, 0, 0], [0, 0.995, -0.1]]) * [0.9, 1.3, 4.5]
    values = np.random.default_rng(0).normal(0, 300, (90, 80, 20)).astype(np.float32)
    data = tmp_path / "data"
    data.mkdir()
    save(data / "scan.nii.gz", Volume(values, Grid(values.shape, affine), Modality.CT))
    label = run_monai(bundle, data)["localizer"]
    assert all(n % 8 == 0 for n in label.shape)
    assert label.max() < 6


@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("make", [localizer_spec, region_spec])
def test_monai_verifies_the_metadata(
    make: Callable[[Modality], BundleSpec], modality: Modality, tmp_path: Path
) -> None:
    """What MONAI's schema requires is there, and the network has the channels that it names."""
    bundle = exported(make(modality), tmp_path)
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": REQUIRED}))
    meta = str(bundle / "configs/metadata.json")
    verify_metadata(meta_file=meta, filepath=schema)
    verify_net_in_out(
        net_id="network_def",
        meta_file=meta,
        config_file=str(bundle / "configs/inference.json"),
        n=4,
    )


def test_a_bundle_is_complete_and_says_what_it_is(tmp_path: Path) -> None:
    """Card, licence, configurations, weights and graph; the card shows the provenance."""
    spec = region_spec(Modality.CT)
    spec.provenance["training cases"] = 1234.0
    bundle = exported(spec, tmp_path)
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files == {
        "LICENSE",
        "configs/evaluate.json",
        "configs/inference.json",
        "configs/metadata.json",
        "configs/multi_gpu_train.json",
        "configs/train.json",
        "docs/README.md",
        "models/model.pt",
        "models/model.xml",
    }
    card = (bundle / "docs/README.md").read_text()
    assert "1234" in card
    assert "Research use only" in card


def test_exporting_again_replaces_and_keeps_the_weights(tmp_path: Path) -> None:
    """A second export leaves one whole bundle with the same numbers in it, and no scraps."""
    bundle = exported(localizer_spec(Modality.MR), tmp_path)
    before = verify(bundle)
    after = export_again(bundle, tmp_path)
    assert after.sha256 == before.sha256
    assert verify(bundle) == after
    assert [path.name for path in tmp_path.iterdir()] == ["localizer_mr"]


def test_weights_that_do_not_fit_leave_the_old_bundle(tmp_path: Path) -> None:
    """An export that fails is an error with exit code 5, and changes nothing."""
    bundle = exported(localizer_spec(Modality.CT), tmp_path)
    before = verify(bundle)
    wrong = random_state(small(region_spec(Modality.CT)))
    with pytest.raises(ModelError, match="do not fit the bundle localizer_ct"):
        export(wrong, small(localizer_spec(Modality.CT)), tmp_path)
    assert verify(bundle) == before
