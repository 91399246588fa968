"""Trained weights to a MONAI bundle: weights, graph, configurations, card, checksums."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sifdetect.bundle import (
    METADATA,
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    TORCH_WEIGHTS,
    BundleSpec,
    read_spec,
    sha256_of,
)
from sifdetect.engine import Engine, build_unet, load_network
from sifdetect.errors import ModelError
from sifdetect.learn import bundle_config, bundle_training
from sifdetect.learn.card import EVALUATION, write_card
from sifdetect.learn.shared_weights import share_weights

if TYPE_CHECKING:
    import torch

MAX_PARITY_ERROR = 1e-3
"""Largest difference of the two engines' outputs, as a share of the largest output."""

_PACKAGES = ("monai", "torch", "numpy", "nibabel", "pytorch-ignite", "openvino")
_NOTICE = """\
Copyright The sifdetect authors

Licensed under the Apache License, Version 2.0 (the "License"); you may not use the files of this
bundle except in compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is
distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied. See the License for the specific language governing permissions and limitations under the
License.
"""


def export(state: Mapping[str, torch.Tensor], spec: BundleSpec, parent: Path) -> BundleSpec:
    """Write the bundle ``parent/spec.name`` and give its spec with checksums.

    The weights are rounded to float16 and stored once, for both engines (``shared_weights``). An
    older bundle of that name is replaced at the end, in one step.

    Raises:
        ModelError: the weights do not fit the spec, or the two files do not answer alike.
    """
    folder = parent / spec.name
    draft = parent / f"{spec.name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    for part in ("configs", "models", "docs"):
        (draft / part).mkdir(parents=True)
    spec = replace(spec, checksums={})
    _write_weights(state, spec, draft)
    _check_parity(spec, draft)
    files = (TORCH_WEIGHTS, OPENVINO_MODEL)
    spec = replace(spec, checksums={f.as_posix(): sha256_of(draft / f) for f in files})
    if (folder / EVALUATION).exists() and read_spec(folder).sha256 == spec.sha256:
        shutil.copyfile(folder / EVALUATION, draft / EVALUATION)  # it is of these very weights
    _write_texts(spec, draft)
    _replace(draft, folder)
    return spec


def export_again(folder: Path, parent: Path) -> BundleSpec:
    """Make a bundle anew from the torch weights in ``folder``; the spec stays as it is.

    Raises:
        ModelError: the bundle cannot be read or its weights do not fit it.
    """
    return export(weights_of(folder), read_spec(folder), parent)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the bundle in ``folder``, in float16.

    Raises:
        ModelError: they cannot be read.
    """
    import torch  # noqa: PLC0415  # slow to import, and only exporting needs it

    try:
        state: dict[str, torch.Tensor] = torch.load(
            folder / TORCH_WEIGHTS, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{folder / TORCH_WEIGHTS} cannot be read ({error})") from error
    return state


def _write_weights(state: Mapping[str, torch.Tensor], spec: BundleSpec, draft: Path) -> None:
    import openvino  # noqa: PLC0415  # slow to import, and only exporting needs it
    import torch  # noqa: PLC0415  # slow to import

    halved = {name: value.detach().cpu().half().contiguous() for name, value in state.items()}
    module = build_unet(spec).eval()
    try:
        module.load_state_dict({name: value.float() for name, value in halved.items()})
    except RuntimeError as error:
        raise ModelError(f"The weights do not fit the bundle {spec.name} ({error})") from error
    torch.save(halved, draft / TORCH_WEIGHTS)
    converted = _converted(module, len(spec.inputs), 4 * spec.multiple)
    converted.reshape(openvino.PartialShape([1, len(spec.inputs), *(spec.shape or (-1, -1, -1))]))
    _fold(converted)
    openvino.save_model(converted, draft / OPENVINO_MODEL, compress_to_fp16=True)
    share_weights(draft / OPENVINO_MODEL, draft / OPENVINO_WEIGHTS, draft / TORCH_WEIGHTS)


def _fold(model: Any) -> None:
    """Work out what is the same for every input: two thirds of the graph are shapes."""
    from openvino.passes import ConstantFolding, Manager  # noqa: PLC0415  # slow to import

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


def _converted(module: torch.nn.Module, inputs: int, side: int) -> Any:
    """OpenVINO's model of a module, through its frontend: ``convert_model`` reports its use."""
    import torch  # noqa: PLC0415  # slow to import, and only exporting needs it
    from openvino.frontend import FrontEndManager  # noqa: PLC0415  # slow to import
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415  # slow to import

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        # torch says that tracing is going out of use, and that a trace keeps the branches it took;
        # the parity check would see a wrong one.
        warnings.simplefilter("ignore")
        example = (torch.zeros(1, inputs, side, side, side),)
        traced = TorchScriptPythonDecoder(module, example_input=example)
    return frontend.convert(frontend.load(traced))


def _check_parity(spec: BundleSpec, draft: Path) -> None:
    shape = spec.shape or (4 * spec.multiple, 5 * spec.multiple, 6 * spec.multiple)
    noise = np.random.default_rng(0).normal(size=(len(spec.inputs), *shape)).astype(np.float32)
    torch_answer = load_network(draft, spec, engine=Engine.TORCH)(noise)
    openvino_answer = load_network(draft, spec, engine=Engine.OPENVINO)(noise)
    error = float(np.abs(torch_answer - openvino_answer).max() / np.abs(torch_answer).max())
    if not error <= MAX_PARITY_ERROR:
        raise ModelError(
            f"torch and OpenVINO do not answer alike for {spec.name} (relative difference {error})"
        )


def _write_texts(spec: BundleSpec, draft: Path) -> None:
    versions = {name: version(name).partition("+")[0] for name in _PACKAGES}
    _write_json(draft / METADATA, bundle_config.metadata(spec, versions))
    configs = {
        "inference": bundle_config.inference(spec),
        "train": bundle_training.training(spec),
        "multi_gpu_train": bundle_training.multi_gpu_training(),
        "evaluate": bundle_training.evaluation(),
    }
    for name, config in configs.items():
        _write_json(draft / f"configs/{name}.json", config)
    write_card(draft)
    (draft / "LICENSE").write_text(_NOTICE, encoding="utf-8")


def _write_json(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _replace(draft: Path, folder: Path) -> None:
    """Put the new folder in the place of the old one; an interruption leaves one of them whole."""
    old = folder.with_name(f"{folder.name}.old.part")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(draft, folder)
    shutil.rmtree(old, ignore_errors=True)
