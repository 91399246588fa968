"""Training: it learns, it resumes exactly where it was, and it says what is wrong with a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sifdetect.anatomy import Modality
from sifdetect.bundle import localizer_spec
from sifdetect.errors import ConfigurationError
from sifdetect.learn.dataset import Pool
from sifdetect.learn.losses import lesion_loss, localizer_loss, region_loss
from sifdetect.learn.train import TrainConfig, Trainer, read_config, train
from tests.conftest import ROOT
from tests.pools import blob


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """A few steps on two tiny scans."""
    Pool(tmp_path / "pool").write(range(2), blob)
    return TrainConfig(
        task="localizer",
        modality="CT",
        pool=str(tmp_path / "pool"),
        out=str(tmp_path / "out"),
        steps=6,
        batch=1,
        size=(16, 16, 16),
        checkpoint_every=2,
        precision="float32",
        held_out=0,
    )


def test_a_resumed_run_ends_with_the_same_weights_as_an_unbroken_one(
    config: TrainConfig, tmp_path: Path
) -> None:
    """Weights, optimizer, schedule and random state come back from the checkpoint."""
    whole = train(replace(config, out=str(tmp_path / "whole")), resume=False)
    first = Trainer(config)
    for _ in range(3):
        first._step()
    first.save()
    second = train(config, resume=True)
    assert second.step == whole.step == 6
    for a, b in zip(whole.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_log_is_json_lines_with_the_loss(config: TrainConfig) -> None:
    """One line per checkpoint."""
    trainer = train(config, resume=False)
    rows = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_training_lowers_the_loss(config: TrainConfig) -> None:
    """Forty steps on two scans are enough to see it."""
    trainer = Trainer(replace(config, steps=40))
    losses = [trainer._step() for _ in range(40)]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: localizer\ncolour: red\n", "unknown keys: colour"),
        ("task: localizer\n", "is not a training file"),
        ("task: [\n", "cannot be read"),
        ("task: nose\nmodality: CT\npool: p\nout: o\nsteps: 1\n", "is not a training file"),
        ("task: region\nlearning_rate: fast\n", "is not a training file"),
    ],
)
def test_a_wrong_training_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file and what is wrong with it; exit code 3."""
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_config(path, {})
    assert caught.value.exit_code == 3


def test_a_number_may_have_an_exponent(tmp_path: Path) -> None:
    """YAML 1.1 takes 1e-3 for a word; a training file may say it, and so may the command line."""
    path = tmp_path / "train.yaml"
    path.write_text("task: region\nmodality: CT\npool: p\nout: o\nsteps: 1\nweight_decay: 1e-3\n")
    config = read_config(path, {"learning_rate": "8e-4"})
    assert (config.weight_decay, config.learning_rate) == (1e-3, 8e-4)


def test_an_empty_pool_is_named(config: TrainConfig, tmp_path: Path) -> None:
    """Training on nothing says where nothing is."""
    with pytest.raises(ConfigurationError, match="holds no sample"):
        train(replace(config, pool=str(tmp_path / "nowhere")), resume=False)


@pytest.mark.parametrize("kind", ["localizer", "region"])
def test_a_perfect_answer_costs_less_than_a_wrong_one(kind: str) -> None:
    """Both losses prefer the truth."""
    count, extra = (6, 3) if kind == "localizer" else (8, 6)
    loss = localizer_loss if kind == "localizer" else region_loss
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, count, (1, 8, 8, 8), generator=generator)
    targets = (torch.rand((1, extra, 8, 8, 8), generator=generator) > 0.5).float()
    weight = torch.ones((1, 8, 8, 8))
    anatomy = 12.0 * torch.nn.functional.one_hot(classes, count).movedim(-1, 1).float()
    rest = (
        targets if kind == "localizer" else torch.cat([targets[:, :5] * 24 - 12, targets[:, 5:]], 1)
    )
    right = loss(torch.cat([anatomy, rest], 1), classes, targets, weight)
    wrong = loss(torch.cat([-anatomy, 1 - rest], 1), classes, targets, weight)
    assert float(right) < 0.25 < float(wrong)


def _sheet(thickness: int) -> torch.Tensor:
    """(1, 5, 16, 16, 16) a fracture line of so many voxels across the middle, and nothing else."""
    lesions = torch.zeros((1, 5, 16, 16, 16))
    lesions[:, 1, 8 - thickness // 2 : 8 + (thickness + 1) // 2] = 1
    return lesions


def test_a_line_too_thick_can_be_made_to_cost_more() -> None:
    """What lies within three voxels of a line; elsewhere, and in other lesions, nothing changes."""
    truth, weight = _sheet(1), torch.ones((1, 16, 16, 16))
    far, edema = _sheet(1), _sheet(1)
    far[:, 1, 14] = 1
    edema[:, 0, 7:10] = 1
    costs = {
        thin: [
            float(lesion_loss(8 * one - 4, truth, weight, thin=thin))
            for one in (truth, _sheet(5), far, edema)
        ]
        for thin in (0.0, 1.5)
    }
    plain, strict = costs[0.0], costs[1.5]
    assert strict[1] - strict[0] > 1.5 * (plain[1] - plain[0])
    for number in (2, 3):
        assert strict[number] - strict[0] == pytest.approx(plain[number] - plain[0], rel=0.1)


def test_voxels_out_of_view_cost_nothing() -> None:
    """A loss does not change with what stands where there is no data."""
    output = torch.zeros((1, 9, 8, 8, 8))
    classes = torch.zeros((1, 8, 8, 8), dtype=torch.int64)
    classes[:, :4] = 1
    weight = torch.ones((1, 8, 8, 8))
    weight[:, 6:] = 0
    other = output.clone()
    other[:, :, 6:] = 5
    targets = torch.zeros((1, 3, 8, 8, 8))
    first = localizer_loss(output, classes, targets, weight)
    assert float(localizer_loss(other, classes, targets, weight)) == pytest.approx(float(first))


def test_the_network_takes_what_the_spec_says() -> None:
    """One image in, six classes and three coordinates out."""
    spec = localizer_spec(Modality.CT)
    assert (len(spec.inputs), len(spec.outputs)) == (1, 9)


def test_training_starts_from_the_weights_of_a_bundle(config: TrainConfig) -> None:
    """What is shipped can be taken up again; weights of another network are refused."""
    shipped = ROOT / "models"
    trainer = Trainer(replace(config, start=str(shipped / "localizer_ct")))
    weights = torch.load(shipped / "localizer_ct" / "models" / "model.pt", weights_only=True)
    for name, value in trainer.averaged.state_dict().items():
        assert torch.equal(value, weights[name].float())
    with pytest.raises(ConfigurationError, match="cannot start from"):
        Trainer(replace(config, start=str(shipped / "region_mr")))


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="Linux tells what a CPU has there")
def test_bfloat16_is_used_where_the_processor_has_it(config: TrainConfig) -> None:
    """Not where the library would emulate it, which takes longer than float32."""
    told = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").lower()
    has = {"avx512_bf16", "amx_bf16", "bf16"} & set(told.split())
    chosen = replace(config, precision="auto").arithmetic(torch.device("cpu"))
    assert chosen is (torch.bfloat16 if has else torch.float32)
