"""Engines: OpenVINO and torch give the same answer, from files that are checked first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import Modality
from sifdetect.bundle import OPENVINO_MODEL, BundleSpec, localizer_spec, region_spec
from sifdetect.engine import Engine, Models, load_network
from sifdetect.errors import ConfigurationError, ModelError
from sifdetect.learn.export import export
from tests.bundles import random_state, small


@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("make", [localizer_spec, region_spec])
def test_the_engines_agree(
    make: Callable[[Modality], BundleSpec], modality: Modality, tmp_path: Path
) -> None:
    """torch is the reference; OpenVINO is within a thousandth of its largest output."""
    spec = export(random_state(make(modality)), make(modality), tmp_path)
    shape = spec.shape or (24, 40, 32)
    noise = np.random.default_rng(1).normal(size=(len(spec.inputs), *shape)).astype(np.float32)
    folder = tmp_path / spec.name
    reference = load_network(folder, spec, engine=Engine.TORCH)(noise)
    answer = load_network(folder, spec, engine=Engine.OPENVINO)(noise)
    assert answer.shape == (len(spec.outputs), *shape)
    assert np.abs(answer - reference).max() <= 1e-3 * np.abs(reference).max()


def test_a_localizer_takes_grids_of_any_size(tmp_path: Path) -> None:
    """One compiled network, two fields of view."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    network = Models(tmp_path).localizer(Modality.CT).network
    for shape in ((16, 24, 32), (40, 16, 16)):
        assert network(np.zeros((1, *shape), np.float32)).shape == (9, *shape)


def test_the_answer_is_not_overwritten_by_the_next_one(tmp_path: Path) -> None:
    """What a network returned stays what it was when the network runs again."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    network = Models(tmp_path).localizer(Modality.CT).network
    first = network(np.zeros((1, 16, 16, 16), np.float32))
    kept = first.copy()
    network(np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32))
    assert (first == kept).all()


def test_bundles_are_loaded_once_and_named(tmp_path: Path) -> None:
    """A report names the weights that were used, and only those."""
    spec = small(localizer_spec(Modality.MR))
    export(random_state(spec), spec, tmp_path)
    models = Models(tmp_path)
    assert models.checksums() == {}
    assert models.localizer(Modality.MR) is models.localizer(Modality.MR)
    assert list(models.checksums()) == ["localizer_mr"]
    assert len(models.checksums()["localizer_mr"]) == 64


def test_an_altered_bundle_is_not_run(tmp_path: Path) -> None:
    """The checksum is looked at before the file is parsed."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    (tmp_path / spec.name / OPENVINO_MODEL).write_bytes(b"something else")
    with pytest.raises(ModelError, match="does not match its checksum"):
        Models(tmp_path).localizer(Modality.CT)


def test_openvino_is_not_asked_to_run_on_a_gpu(tmp_path: Path) -> None:
    """The wrong pair of engine and device is a matter of configuration, exit code 3."""
    with pytest.raises(ConfigurationError, match="cuda:0"):
        Models(tmp_path, engine=Engine.OPENVINO, device="cuda:0")
    assert Models(tmp_path, device="cuda:0").engine is Engine.TORCH
    assert Models(tmp_path).engine is Engine.OPENVINO
