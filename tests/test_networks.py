"""The network of a bundle: deepened without a jump, asked with left and right exchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sifdetect.anatomy import Modality
from sifdetect.bundle import TORCH_WEIGHTS, read_spec, spec_from_json, spec_to_json
from sifdetect.cli import main
from sifdetect.engine import Engine, Models, as_used, build_unet, load_network
from sifdetect.errors import ConfigurationError
from sifdetect.learn.dataset import Pool
from sifdetect.learn.release import recalibrate
from sifdetect.learn.train import Trainer
from sifdetect.networks import MirrorInferer, RefinedUNet
from tests.bundles import random_state
from tests.pools import SIDE, slab, tiny_bundle, tiny_region, tiny_training


def box(seed: int) -> NDArray[np.float32]:
    """Channels of the tiny region: noise and the coordinates of the frame."""
    noise = np.random.default_rng(seed).normal(size=(1, SIDE, SIDE, SIDE))
    axes = np.linspace(-0.12, 0.12, SIDE)
    return np.concatenate([noise, np.meshgrid(axes, axes, axes, indexing="ij")]).astype(np.float32)


def exchanged(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same patient seen in a mirror: voxels swap sides, places keep their coordinates."""
    mirrored = channels[:, ::-1].copy()
    mirrored[1] *= -1
    return mirrored


def test_a_deepened_network_answers_at_first_as_the_plain_one(tmp_path: Path) -> None:
    """Its second convolutions add nothing until they are trained; then they do."""
    config = replace(tiny_training(tmp_path), refined=True)
    plain = build_unet(read_spec(Path(config.start)))
    weights = torch.load(Path(config.start) / TORCH_WEIGHTS, weights_only=True)
    plain.load_state_dict({name: value.float() for name, value in weights.items()})
    trainer = Trainer(config)
    assert isinstance(trainer.network, RefinedUNet)
    seen = torch.from_numpy(box(0))[None]
    with torch.no_grad():
        assert torch.equal(trainer.network(seen), plain(seen))
    trainer.run()
    scales = [
        v for n, v in trainer.network.named_parameters() if n.endswith("refinement.adn.N.weight")
    ]
    assert len(scales) == 5  # three on the way down, two on the way up
    assert all(scale.abs().max() > 0 for scale in scales)


def test_a_deep_network_is_not_made_shallow(tmp_path: Path) -> None:
    """Weights that have no place in a plain network are refused, not dropped."""
    deep = replace(tiny_region(), refined=True)
    start = tiny_bundle(tmp_path / "deep", deep)
    assert read_spec(start).refined
    config = replace(tiny_training(tmp_path), start=str(start))
    assert config.spec.refined  # it stays what it was, whatever the file says
    torch.save(
        random_state(deep), Path(tiny_bundle(tmp_path / "flat", tiny_region())) / TORCH_WEIGHTS
    )
    with pytest.raises(ConfigurationError, match="cannot start from"):
        Trainer(replace(config, start=str(tmp_path / "flat" / "region_ct"), refined=False))


@pytest.mark.parametrize("refined", [False, True])
def test_a_mirrored_patient_gets_the_mirrored_answer(tmp_path: Path, refined: bool) -> None:
    """Exactly so, from weights that prefer a side; both engines and MONAI's inferer agree."""
    bundle = tiny_bundle(tmp_path, replace(tiny_region(), refined=refined))
    spec = read_spec(bundle)
    alone = load_network(bundle, spec, engine=Engine.TORCH)
    assert np.abs(alone(exchanged(box(1))) - alone(box(1))[:, ::-1]).max() > 0.01
    network = Models(tmp_path, engine=Engine.TORCH).region(Modality.CT).network
    answer = network(box(1))
    np.testing.assert_allclose(network(exchanged(box(1))), answer[:, ::-1], atol=1e-5)
    other = Models(tmp_path, engine=Engine.OPENVINO).region(Modality.CT).network
    np.testing.assert_allclose(other(box(1)), answer, atol=2e-3 * np.abs(answer).max())
    module = build_unet(spec)
    module.load_state_dict({n: v.float() for n, v in torch.load(bundle / TORCH_WEIGHTS).items()})
    with torch.no_grad():
        by_monai = MirrorInferer(1)(torch.from_numpy(box(1))[None], module)[0].numpy()
    np.testing.assert_allclose(by_monai, answer, atol=1e-5)


def test_a_bundle_that_is_asked_once_stays_so() -> None:
    """Metadata written before either was known say neither."""
    spec = replace(tiny_region(), mirrored=False)
    document = spec_to_json(spec)
    del document["refined"], document["mirrored"]
    assert spec_from_json(document) == spec
    assert spec_from_json(spec_to_json(replace(spec, refined=True, mirrored=True))).refined

    def network(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        return channels

    assert as_used(network, spec) is network


def test_a_bundle_is_calibrated_anew_with_its_weights_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights keep their checksum; the card counts the cases; a localizer is refused."""
    bundle = tiny_bundle(tmp_path / "old", replace(tiny_region(), mirrored=False))
    pool = Pool(tmp_path / "pool")
    pool.write(range(8), slab)
    command = ["model", "calibrate", "region_ct", "--models", str(bundle.parent)]
    assert main([*command, "--calibration", str(pool.folder), "-o", str(tmp_path / "new")]) == 0
    old, new = read_spec(bundle), read_spec(tmp_path / "new" / "region_ct")
    assert new.sha256 == old.sha256
    assert new.sha256 in capsys.readouterr().out
    assert new.mirrored
    assert new.calibration != old.calibration
    assert new.provenance["calibration_cases"] == 8.0
    with pytest.raises(ConfigurationError, match="no probability"):
        recalibrate(Path("models/localizer_ct"), tmp_path, pool)
