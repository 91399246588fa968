"""Bundles: specs, intensity rules, checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifdetect.anatomy import Modality
from sifdetect.bundle import (
    OUT_OF_VIEW,
    TORCH_WEIGHTS,
    BundleSpec,
    Calibration,
    IntensityRule,
    ct_hu,
    localizer_spec,
    mr_robust,
    normalised,
    read_spec,
    region_spec,
    spec_from_json,
    spec_to_json,
    verify,
)
from sifdetect.errors import ModelError
from sifdetect.learn.export import export
from tests.bundles import random_state, small

SPECS = [make(modality) for make in (localizer_spec, region_spec) for modality in Modality]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_survives_its_json_form(spec: BundleSpec) -> None:
    """What is written to the metadata is what is read back."""
    assert spec_from_json(spec_to_json(spec)) == spec


@pytest.mark.parametrize("modality", Modality)
def test_region_box_fits_the_network(modality: Modality) -> None:
    """The box has a whole number of voxels and every axis can be halved as often as needed."""
    spec = region_spec(modality)
    assert spec.shape == (112, 88, 112)
    assert all(n % spec.multiple == 0 for n in spec.shape)


def test_ct_rule_keeps_cortex_marrow_fat_and_air_apart() -> None:
    """Each tissue has its own value, and beyond the window everything is the same."""
    hu = np.array([-1000, -250, -100, 40, 200, 700, 1250, 3000], dtype=np.float32)
    out = ct_hu(hu, np.ones(8, dtype=bool))
    assert out[0] == out[1]
    assert out[6] == out[7]
    assert (np.diff(out[1:7]) > 0.4).all()


def test_ct_out_of_view_looks_like_air() -> None:
    """A voxel without data is not taken for bone, whatever value it happens to hold."""
    bone = np.full(4, 900.0, dtype=np.float32)
    seen = np.array([True, False, True, False])
    assert ct_hu(bone, seen)[1] == ct_hu(np.full(4, -1000, np.float32), seen)[0]


@given(gain=st.floats(0.01, 1000), seed=st.integers(0, 100))
def test_mr_rule_does_not_depend_on_the_gain(gain: float, seed: int) -> None:
    """MR units are arbitrary: the same image, louder, gives the same input."""
    values = np.random.default_rng(seed).gamma(2.0, 100.0, (6, 7, 8)).astype(np.float32)
    seen = np.ones(values.shape, dtype=bool)
    assert mr_robust(values * np.float32(gain), seen) == pytest.approx(
        mr_robust(values, seen), abs=1e-3
    )


def test_mr_rule_ignores_air_and_what_is_out_of_view() -> None:
    """Air around a patient and padding beyond the field of view do not move the tissue."""
    tissue = np.random.default_rng(0).normal(300, 40, 500).astype(np.float32)
    values = np.concatenate([tissue, np.zeros(2000, np.float32), np.full(100, 9e4, np.float32)])
    seen = np.arange(len(values)) < 2500
    out = mr_robust(values, seen)
    assert np.median(out[:500]) == pytest.approx(0, abs=1e-6)
    assert np.ptp(np.percentile(out[:500], (5, 95))) == pytest.approx(2, abs=1e-5)
    assert (out[2500:] == OUT_OF_VIEW).all()


@pytest.mark.parametrize("rule", IntensityRule)
def test_an_empty_image_stays_finite(rule: IntensityRule) -> None:
    """Nothing in view, or nothing but zeros, is no reason to divide by zero."""
    values = np.zeros((3, 4, 5), dtype=np.float32)
    for seen in (np.zeros(values.shape, dtype=bool), np.ones(values.shape, dtype=bool)):
        assert np.isfinite(normalised(values, seen, rule)).all()


def test_calibration_of_one_and_zero_changes_nothing() -> None:
    """Slope 1 and intercept 0 are the identity; a positive intercept raises the probability."""
    for score in (0.01, 0.5, 0.9):
        assert Calibration()(score) == pytest.approx(score)
        assert Calibration(intercept=1.0)(score) > score
    assert 0 < Calibration()(0.0) < Calibration()(1.0) < 1


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    """The error says which bundle, and its exit code is 5."""
    with pytest.raises(ModelError, match="region_ct") as caught:
        read_spec(tmp_path / "region_ct")
    assert caught.value.exit_code == 5


def test_a_foreign_bundle_is_refused(tmp_path: Path) -> None:
    """A MONAI bundle without our metadata is told from a broken folder."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text('{"version": "1"}')
    with pytest.raises(ModelError, match="not sifdetect's"):
        read_spec(tmp_path)


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    """A weight file that is not the exported one is refused by name."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    assert verify(tmp_path / spec.name).checksums
    weights = tmp_path / spec.name / TORCH_WEIGHTS
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"models/model\.pt of the bundle localizer_ct"):
        verify(tmp_path / spec.name)


def test_a_missing_weight_file_is_found(tmp_path: Path) -> None:
    """A bundle that was copied in part is refused."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    (tmp_path / spec.name / "models/model.pt").unlink()
    with pytest.raises(ModelError, match=r"lacks models/model\.pt"):
        verify(tmp_path / spec.name)
