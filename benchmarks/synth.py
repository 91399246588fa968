"""What `sifdetect synth` costs: cases per minute, seconds of each stage, peak memory.

    python benchmarks/synth.py [--cases 3] [--only region,study]

Renders each kind of case in a process of its own and in one thread: samples for the region
networks at 1.5 and 1 mm (CT and STIR with T1 alone, and with all the images of a pool's sample),
and a whole study as DICOM. Prints processor seconds, which other work on the machine does not
stretch, and seconds of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.bundle import region_spec
from sifdetect.learn.dataset import render_region
from sifdetect.learn.jobs import keep_freed_memory
from sifdetect.learn.scanned import write_study
from sifdetect.synth import case as whole
from sifdetect.synth import confounders, ct, lesions, mr, scene, tissue
from sifdetect.synth.shape import ShapeParams

STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "bones": ((ShapeParams, "bones"), (scene, "displaced")),
    "tissue": ((tissue, "evaluate"), (tissue, "cortex_mm"), (tissue, "disc_remnant")),
    "lesions": ((lesions, "evaluate"), (confounders, "evaluate")),
    "ct": ((ct, "render"),),
    "mr": ((mr, "render"),),
    "truth": ((whole, "truth_of"),),
}
"""What is timed as what; a stage called within another one counts as part of that one."""

KINDS = {
    "region-1.5": "region box, CT + STIR + T1, 1.5 mm",
    "region-1": "region box, CT + STIR + T1, 1 mm",
    "region-1-ct": "region box, CT, 1 mm",
    "region-1-mr": "region box, STIR + T1, 1 mm",
    "pool-1.5": "sample of a pool, 7 images, 1.5 mm",
    "study": "whole study written as DICOM",
}


def main() -> int:
    """Measure each kind in its own process, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--only", default=",".join(KINDS), help=", ".join(KINDS))
    parser.add_argument("--measure", choices=tuple(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure, options.cases)))
        return 0
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    print(f"{options.cases} cases of each kind, one thread; {machine}\n")
    print(table([_in_own_process(kind, options.cases) for kind in options.only.split(",")]))
    return 0


def _in_own_process(kind: str, cases: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", kind, "--cases", str(cases)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measured(kind: str, cases: int) -> dict[str, Any]:
    """Seconds a case, of the processor and of the clock, share of each stage, peak memory."""
    keep_freed_memory()  # as sifdetect synth does
    with tempfile.TemporaryDirectory() as folder:
        make = _maker(kind, Path(folder))
        make(1)  # tables that are filled once
        with _stages() as spent:
            started, clock = time.process_time(), time.perf_counter()
            for seed in range(2, 2 + cases):
                make(seed)
            total, wall = time.process_time() - started, time.perf_counter() - clock
    return {
        "kind": kind,
        "processor_s": total / cases,
        "clock_s": wall / cases,
        "stages": {name: seconds / total for name, seconds in spent.items()},
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _maker(kind: str, folder: Path) -> Callable[[int], object]:
    if kind == "study":
        return lambda seed: write_study(whole.make_case(seed), folder / str(seed))
    if kind == "pool-1.5":
        return render_region
    _, spacing, *only = kind.split("-")
    return lambda seed: region_case(seed, float(spacing), only or ["ct", "mr"])


def region_case(seed: int, spacing_mm: float, kinds: list[str]) -> list[np.ndarray[Any, Any]]:
    """CT, or STIR and T1, or both, in the box of the region networks, with labels."""
    spec = region_spec(Modality.CT)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    params = scene.sample_case(seed)
    rng = np.random.default_rng([seed, 1])
    grid = params.frame.grid(spec.low_mm, spec.high_mm, spacing_mm)
    points = scene.points_of(params, grid)
    seen = scene.scene_at(params, points, spacing_mm)
    scan = ct.CtParams.sample(rng, tagged=params.body.tagged_stool)
    images: list[np.ndarray[Any, Any]] = [seen.anatomy(), seen.lesion_bits()]
    if "ct" in kinds:
        images.append(ct.render(seen, points, scan, spacing_mm=grid.spacing_mm, rng=rng))
    if "mr" not in kinds:
        return images
    exam = mr.MrParams.sample(rng, random_contrast=False)
    subject = mr.Subject.of(seen, points, mr.Microstructure.sample(rng))
    for weighting in (MrWeighting.STIR, MrWeighting.T1):
        sequence, series = exam.sequence(rng, weighting), mr.Acquisition.sample(rng, 1)
        images.append(
            mr.render(subject, exam, sequence, series, spacing_mm=grid.spacing_mm, rng=rng)
        )
    return images


@contextmanager
def _stages() -> Iterator[dict[str, float]]:
    """Processor seconds by stage, filled while the block runs."""
    spent = dict.fromkeys(STAGES, 0.0)
    inside: list[str] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if inside:
                return function(*arguments, **named)
            inside.append(name)
            start = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                spent[name] += time.process_time() - start
                inside.clear()

        return run

    patches = [
        mock.patch.object(owner, attribute, timed(name, getattr(owner, attribute)))
        for name, places in STAGES.items()
        for owner, attribute in places
    ]
    for patch in patches:
        patch.start()
    try:
        yield spent
    finally:
        for patch in patches:
            patch.stop()


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: what was made, its costs, and the share of each stage."""
    head = ["", "processor s", "clock s", "cases a minute", "peak MB", *STAGES, "rest"]
    rows = []
    for one in found:
        shares = [one["stages"][name] for name in STAGES]
        cells = [
            KINDS[one["kind"]],
            f"{one['processor_s']:.2f}",
            f"{one['clock_s']:.2f}",
            f"{60 / one['processor_s']:.1f}",
            f"{one['memory_mb']:.0f}",
            *(f"{share:.0%}" for share in shares),
            f"{1 - sum(shares):.0%}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *rows])


if __name__ == "__main__":
    sys.exit(main())
