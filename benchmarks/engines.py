"""One region network in several engines: seconds a question, and what each loses, in one run.

    sifdetect synth -o POOL --cases 30 --seed 292000 --format region
    python benchmarks/engines.py POOL [--modality ct] [--cases 20] [--ranges 10] [--rounds 5]

POOL holds samples that were not trained on. The first ``--ranges`` of them set the ranges of int8,
the next ``--cases`` are asked of every engine; Dice is of the answers as used. ONNX Runtime needs
`pip install onnx onnxscript onnxruntime`, int8 `pip install nncf`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sifdetect.anatomy import Modality
from sifdetect.app import default_models
from sifdetect.bundle import OPENVINO_MODEL, TORCH_WEIGHTS, BundleSpec, verify
from sifdetect.engine import Engine, Network, as_used, build_unet, load_network
from sifdetect.learn.before_after import load, scores_of
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.volume import FloatImage

SHOWN = ("sacral_body", "sacral_corridor", "sacral_ala", "edema", "fracture_line", "sclerosis")
REFERENCE = "torch eager, float32"


def main() -> int:
    """Ask every engine, print the table."""
    options = _options()
    folder = options.models / f"region_{options.modality}"
    spec = verify(folder)
    files = Pool(options.pool).names()[: options.ranges + options.cases]
    samples = [load(path) for path in files[options.ranges :]]
    ranges = [_inputs(load(path), spec) for path in files[: options.ranges]]
    engines: dict[str, Callable[[], Network]] = {
        REFERENCE: lambda: load_network(folder, spec, engine=Engine.TORCH),
        "ONNX Runtime, float32": lambda: _onnx_runtime(folder, spec),
        "OpenVINO, float32": lambda: load_network(folder, spec, engine=Engine.OPENVINO),
        "OpenVINO, int8": lambda: _int8(folder, ranges),
    }
    asked = _inputs(samples[0], spec)
    networks = {name: made() for name, made in engines.items()}
    seconds = _seconds(networks, asked, options.rounds)
    scores = {
        name: [scores_of(one, spec, as_used(network, spec)) for one in samples]
        for name, network in networks.items()
    }
    print(
        f"region_{options.modality}, box {spec.shape}, {len(samples)} cases;"
        f" {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()},"
        f" torch {torch.__version__}\n"
    )
    print(_table(seconds, scores))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--modality", choices=[m.value.lower() for m in Modality], default="ct")
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--ranges", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _inputs(sample: Rendered, spec: BundleSpec) -> FloatImage:
    """What the network is asked of a sample."""
    asked: list[FloatImage] = []

    def listen(channels: FloatImage) -> FloatImage:
        asked.append(channels)
        return np.zeros((len(spec.outputs), *channels.shape[1:]), dtype=np.float32)

    scores_of(sample, spec, listen)
    return asked[0]


def _onnx_runtime(folder: Path, spec: BundleSpec) -> Network:
    import onnxruntime  # noqa: PLC0415  # only this engine needs it

    module = build_unet(spec)
    state = torch.load(folder / TORCH_WEIGHTS, map_location="cpu", weights_only=True)
    module.load_state_dict({name: value.float() for name, value in state.items()})
    example = torch.zeros(1, len(spec.inputs), *(spec.shape or (32, 32, 32)))
    threads = onnxruntime.SessionOptions()
    threads.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(place, "region.onnx")
        torch.onnx.export(module.eval(), (example,), path, input_names=["x"], dynamo=False)
        session = onnxruntime.InferenceSession(path, threads, providers=["CPUExecutionProvider"])

    def run(channels: FloatImage) -> FloatImage:
        (answer,) = session.run(None, {"x": np.ascontiguousarray(channels)[None]})
        return np.asarray(answer[0], dtype=np.float32)

    return run


def _int8(folder: Path, ranges: Sequence[FloatImage]) -> Network:
    import nncf  # noqa: PLC0415  # only this engine needs it
    import openvino  # noqa: PLC0415  # slow to import

    core: Any = openvino.Core()
    model = core.read_model(folder / OPENVINO_MODEL, folder / TORCH_WEIGHTS)
    data = nncf.Dataset(list(ranges), lambda one: one[None])
    compiled = core.compile_model(
        nncf.quantize(model, data, subset_size=len(ranges), preset=nncf.QuantizationPreset.MIXED),
        "CPU",
    )
    request = compiled.create_infer_request()

    def run(channels: FloatImage) -> FloatImage:
        request.infer([np.ascontiguousarray(channels)[None]], share_inputs=True)
        return np.array(request.get_output_tensor(0).data[0], dtype=np.float32)

    return run


def _seconds(
    networks: dict[str, Network], asked: FloatImage, rounds: int
) -> dict[str, list[float]]:
    """Of each round, all engines in turn; the first question of each is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for number in range(rounds + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network(asked)
            if number:
                taken[name].append(time.perf_counter() - start)
    return taken


def _table(seconds: dict[str, list[float]], scores: dict[str, list[dict[str, float]]]) -> str:
    """Medians; ratios of each round's seconds; mean Dice, and the furthest mean from the first."""
    shown = [name for name in SHOWN if any(name in one for one in scores[REFERENCE])]
    rows = [
        ["engine", "s a question", "times as fast", *shown, "largest change of a mean"],
        ["---"] * (4 + len(shown)),
    ]
    base = _means(scores[REFERENCE], shown)
    for name, taken in seconds.items():
        ratio = np.median(np.array(seconds[REFERENCE]) / np.array(taken))
        means = _means(scores[name], shown)
        change = max((means[i] - base[i] for i in range(len(shown))), key=abs)
        dice = [f"{value:.4f}" for value in means]
        rows.append([name, f"{np.median(taken):.2f}", f"{ratio:.2f}", *dice, f"{change:+.4f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _means(scores: Sequence[dict[str, float]], names: Sequence[str]) -> list[float]:
    return [float(np.mean([one[name] for one in scores if name in one])) for name in names]


if __name__ == "__main__":
    sys.exit(main())
