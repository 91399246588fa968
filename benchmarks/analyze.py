"""What `sifdetect analyze` costs on a whole-pelvis CT: time of each stage and peak memory.

    python benchmarks/analyze.py [--slices 300] [--study FOLDER] [--engine openvino|torch]

Writes a synthetic 512×512 CT as DICOM, or takes the study that is given, analyses it in a process
of its own (start-up included) and prints a table with the machine's cores.
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
from pathlib import Path

from sifdetect.findings import Morphology
from sifdetect.learn.scanned import write_study
from sifdetect.synth.case import Protocol, make_case
from sifdetect.volume import Grid, Volume

SIDE = 512
FIELD_MM = 360.0
STAGES = ("read", "localize", "segment", "measure", "encode", "total")


def main() -> int:
    """Write the scan, analyse it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--slice-mm", type=float, default=0.8)
    parser.add_argument("--study", type=Path, help="of DICOM files; no CT is made then")
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan, out = options.study or Path(folder, "scan"), Path(folder, "out")
        if options.study is None:
            write_scan(scan, options.slices, options.slice_mm)
        command = [sys.executable, "-m", "sifdetect.cli", "analyze", str(scan), "-o", str(out)]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--json", "-q", "--engine", options.engine],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - start
    findings = json.loads(done.stdout)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    what = f"{SIDE}×{SIDE}×{options.slices}" if options.study is None else options.study.name
    print(table(findings, wall, used, f"{what}, {options.engine}"))
    return 0


def write_scan(folder: Path, slices: int, slice_mm: float) -> None:
    """A coarse case, resampled to 512×512 pixels: the cost of reading it is that of a real scan."""
    coarse = Protocol(weightings=(), ct_spacing_mm=(2.0, 2.0, 3.0))
    case = make_case(11, morphology=Morphology.BILATERAL, protocol=coarse)
    source = case.volumes[0]
    pixel = FIELD_MM / SIDE
    shape = (SIDE, SIDE, slices)
    affine = source.grid.affine_lps_mm.copy()
    affine[:3, :3] = affine[:3, :3] / source.grid.spacing_mm * [pixel, pixel, slice_mm]
    middle = [(n - 1) / 2 for n in shape]
    affine[:3, 3] = source.grid.center_lps_mm - affine[:3, :3] @ middle
    fine: Volume = source.resampled(Grid(shape, affine))
    write_study(type(case)(case.params, (fine,), case.anatomy, case.lesions, case.truth), folder)


def table(
    findings: dict[str, dict[str, float]], wall_s: float, used: resource.struct_rusage, what: str
) -> str:
    """Markdown: seconds and share of every stage, processor time, memory, the machine."""
    seconds = findings["timings_s"]
    rows = [f"| {name} | {seconds[name]:.2f} | {seconds[name] / wall_s:.0%} |" for name in STAGES]
    start_up = wall_s - seconds["total"]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    return "\n".join(
        [
            f"{what}; {machine}; finding: {findings['presence']}",
            "",
            "| stage | seconds | share |",
            "|---|---|---|",
            *rows,
            f"| start-up and end | {start_up:.2f} | {start_up / wall_s:.0%} |",
            f"| whole process | {wall_s:.2f} | processor {used.ru_utime + used.ru_stime:.2f} s |",
            f"| peak memory | {used.ru_maxrss / 1024:.0f} MB | |",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
