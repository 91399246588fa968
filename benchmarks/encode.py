"""What writing the results of a 300-slice CT costs: processor time and size of every object.

    python benchmarks/encode.py [--slices 300] [--findings 6] [--repeat 3]

The scan is 512×512 with a block for a sacrum and ellipsoids for findings: encoding does not look
at what they mean. Times are processor seconds of this one process (OMP_NUM_THREADS=1 for one core),
the first in a fresh process, in which libraries load their tables, and the least of the later ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from io import BytesIO

from encode_case import Case, made_case
from pydicom import Dataset

from sifdetect.dicom.seg import encode_seg
from sifdetect.dicom.sr import encode_sr
from sifdetect.dicom.summary import encode_summary

TARGET_SECONDS = 1.5
TARGETS_KB = {"SR": 60, "SEG": 1000, "summary": 3000}


def main() -> int:
    """Make the case, encode it, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--findings", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    case = made_case(options.slices, options.findings)
    runs = [_run(case) for _ in range(1 + options.repeat)]
    print(
        f"512×512×{options.slices}, {options.findings} findings; {os.cpu_count()} cores"
        f" ({platform.machine()}), Python {platform.python_version()}\n"
    )
    print("| object | first s | later s | kB | of the target |\n|---|---|---|---|---|")
    for name in runs[0]:
        later = min(run[name][0] for run in runs[1:])
        size = runs[0][name][1] / 1000
        share = f"{size / TARGETS_KB[name]:.2f}" if name in TARGETS_KB else "-"
        print(f"| {name} | {runs[0][name][0]:.2f} | {later:.2f} | {size:.1f} | {share} |")
    first, later = (
        sum(seconds for seconds, _ in run.values())
        for run in (runs[0], min(runs[1:], key=lambda run: sum(s for s, _ in run.values())))
    )
    print(f"| all | {first:.2f} | {later:.2f} | | {first / TARGET_SECONDS:.2f} of 1.5 s |")
    return 0


def _run(case: Case) -> dict[str, tuple[float, int]]:
    """Processor seconds and bytes of each object."""
    findings, labels, study = case
    encoders: dict[str, Callable[[], Dataset]] = {
        "SEG": lambda: encode_seg(findings, labels[0], study.series[0]),
        "SR": lambda: encode_sr(findings, labels, study),
        "summary": lambda: encode_summary(findings, labels, study),
    }
    return {name: _cost(encode) for name, encode in encoders.items()}


def _cost(encode: Callable[[], Dataset]) -> tuple[float, int]:
    start = time.process_time()
    stream = BytesIO()
    encode().save_as(stream, enforce_file_format=True)
    return time.process_time() - start, len(stream.getvalue())


if __name__ == "__main__":
    sys.exit(main())
