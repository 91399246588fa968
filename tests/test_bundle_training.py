"""MONAI's bundle commands train and score a bundle with the configurations that lie in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from monai.bundle.scripts import run

from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import Pool
from tests.conftest import ROOT
from tests.pools import slab, tiny_bundle, tiny_region

CONFIGS = ("inference", "train", "evaluate", "multi_gpu_train")
SHIPPED = sorted(path.name for path in (ROOT / "models").iterdir())


def parsed(bundle: Path, *names: str) -> ConfigParser:
    """Configurations of a bundle, laid over each other."""
    parser = ConfigParser()
    parser.read_config([str(bundle / f"configs/{name}.json") for name in names])
    return parser


@pytest.mark.parametrize("name", SHIPPED)
def test_every_configuration_of_a_shipped_bundle_is_understood(name: str) -> None:
    """Each is parsed, and what it trains with is a training file of that bundle."""
    bundle = ROOT / "models" / name
    for config in CONFIGS:
        assert parsed(bundle, config).config
    parser = parsed(bundle, "train", "multi_gpu_train")
    parser["bundle_root"] = str(bundle)
    settings = parser.get_parsed_content("settings")
    assert isinstance(settings, TrainConfig)
    assert settings.spec.name == name
    assert "join" in parser["initialize"][0]


def test_monai_trains_a_bundle_and_scores_it(tmp_path: Path) -> None:
    """``monai.bundle run`` on train and evaluate leaves a checkpoint and figures."""
    bundle, pool = tiny_bundle(tmp_path, tiny_region()), tmp_path / "pool"
    Pool(pool).write(range(2), slab)
    told = {"bundle_root": str(bundle), "dataset_dir": str(pool), "device": "cpu"}
    files = [str(bundle / f"configs/{name}.json") for name in ("train", "multi_gpu_train")]
    run(config_file=files, output_dir=str(tmp_path / "run"), steps=2, **told)
    state = torch.load(tmp_path / "run/checkpoint.pt", weights_only=False)
    assert state["step"] == 2
    del told["device"]
    config = str(bundle / "configs/evaluate.json")
    run(config_file=config, output_dir=str(tmp_path / "eval"), **told)
    figures = json.loads((tmp_path / "eval/evaluation.json").read_text())
    assert figures["dice"]["sacral_ala"]["n"] == 2
