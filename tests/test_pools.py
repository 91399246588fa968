"""Samples to train on: one file a seed, what they were made from, and how seeds are named."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import Modality
from sifdetect.bundle import localizer_spec
from sifdetect.cli import main
from sifdetect.learn import anatomy_source, cases
from sifdetect.learn.card import model_card
from sifdetect.learn.cases import Making, write_pools
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.record import pool_anatomy


def test_samples_to_train_on_are_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file a seed below the task's name; a second call leaves what is there."""
    made: list[int] = []

    def render(seed: int, sources: Sequence[object]) -> Rendered:
        made.append(seed)
        assert not sources
        return {"classes": np.full((2, 2, 2), seed, dtype=np.uint8)}

    monkeypatch.setitem(cases.POOLS, "localizer", render)
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("4 9\n7\n")
    for told in (["--cases", "2", "--seed", "3"], ["--seeds", str(chosen)]):
        assert main(["synth", "-o", str(tmp_path), *told, "--format", "localizer"]) == 0
    names = Pool(tmp_path / "localizer").names()
    assert [path.name for path in names] == [f"000000{seed}.npz" for seed in (3, 4, 7, 9)]
    assert made == [3, 4, 9, 7]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "Which seeds?"),
        (["--cases", "1"], "Which seeds?"),
        (["--cases", "1", "--seed", "1", "--seeds", "{}"], "Which seeds?"),
        (["--seeds", "{}"], "holds no list of seeds: invalid literal for int"),
        (["--seeds", "{}-absent"], "No such file"),
        (["--cases", "0", "--seed", "1"], "There is no seed"),
    ],
)
def test_seeds_are_counted_or_listed_and_never_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], told: list[str], said: str
) -> None:
    """Anything else ends with 2 and a sentence, and nothing is written."""
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("1 two")
    out = tmp_path / "out"
    assert main(["synth", "-o", str(out), *(word.format(chosen) for word in told)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_pool_says_where_its_bones_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Procedural and real bones in one pool are both named, the files by their checksums."""
    monkeypatch.setitem(cases.POOLS, "region", lambda seed, sources: {"one": np.zeros(1)})
    monkeypatch.setattr(anatomy_source, "fields", lambda *_, **__: [object()])
    (tmp_path / "VH_F_Pelvis.glb").write_bytes(b"bones")
    real = anatomy_source.parse(f"meshes:{tmp_path}")
    write_pools(tmp_path, range(1, 4), tasks=["region"])
    write_pools(tmp_path, range(1, 6), tasks=["region"], making=Making(anatomy=real))
    said = pool_anatomy(tmp_path / "region")
    checksum = hashlib.sha256(b"bones").hexdigest()[:12]
    assert "procedural bones, 3 samples" in said
    assert f"meshes: VH_F_Pelvis.glb (SHA-256 {checksum}), 2 samples" in said
    spec = replace(localizer_spec(Modality.CT), provenance={"anatomy": said})
    assert said in model_card(spec)
