"""Weights are stored once: torch and OpenVINO read the same bytes of the same file."""

from __future__ import annotations

from pathlib import Path

import openvino
import pytest
import torch

from sifdetect.anatomy import Modality
from sifdetect.bundle import (
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    TORCH_WEIGHTS,
    localizer_spec,
    read_spec,
    verify,
)
from sifdetect.engine import Engine, load_network
from sifdetect.errors import ModelError
from sifdetect.learn.export import export
from sifdetect.learn.shared_weights import share_weights
from tests.bundles import random_state, small
from tests.conftest import ROOT

LIMIT_BYTES = 12e6


def test_torch_reads_what_openvino_reads(tmp_path: Path) -> None:
    """Every tensor of the file is a constant of the graph, value by value."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path)
    bundle = tmp_path / spec.name
    tensors = torch.load(bundle / TORCH_WEIGHTS, weights_only=True)
    graph = openvino.Core().read_model(bundle / OPENVINO_MODEL, bundle / TORCH_WEIGHTS)
    constants = {
        node.get_friendly_name().removesuffix("_compressed").removeprefix("self."): node.data
        for node in graph.get_ops()
        if node.get_type_name() == "Constant"
    }
    shared = [name for name in tensors if name in constants]
    assert len(shared) > 10
    assert all((constants[name] == tensors[name].numpy()).all() for name in shared)
    assert not (bundle / OPENVINO_WEIGHTS).exists()


def test_a_constant_that_is_no_weight_is_not_stored_a_second_time(tmp_path: Path) -> None:
    """A graph of other weights is refused instead of being carried along."""
    graph, binary, weights = (tmp_path / name for name in ("a.xml", "a.bin", "a.pt"))
    graph.write_text('<data offset="0" size="4096" />')
    binary.write_bytes(bytes(range(256)) * 16)
    torch.save({"weight": torch.zeros(2048, dtype=torch.float16)}, weights)
    with pytest.raises(ModelError, match="is no weight"):
        share_weights(graph, binary, weights)


def test_a_bundle_with_weights_of_its_own_for_openvino_is_not_misread(tmp_path: Path) -> None:
    """Offsets into another file would be taken for weights: such a bundle is to be exported."""
    spec = small(localizer_spec(Modality.CT))
    spec = export(random_state(spec), spec, tmp_path)
    spec.checksums[OPENVINO_WEIGHTS.as_posix()] = "0" * 64
    with pytest.raises(ModelError, match="keeps its weights twice"):
        load_network(tmp_path / spec.name, spec, engine=Engine.OPENVINO)


def test_the_shipped_weights_are_whole_and_take_less_than_twelve_megabytes() -> None:
    """All four bundles, graphs included; half precision; each file has its SHA-256."""
    files = [path for path in (ROOT / "models").glob("*/models/*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) <= LIMIT_BYTES
    for folder in {path.parent.parent for path in files}:
        assert set(verify(folder).checksums) == {"models/model.pt", "models/model.xml"}
        assert read_spec(folder).name == folder.name
        state = torch.load(folder / TORCH_WEIGHTS, weights_only=True)
        assert {value.dtype for value in state.values()} == {torch.float16}
