"""What the rules say of true labels beside the truth of synthetic cases: docs/rules.md.

python -m sifdetect.learn.rule_report --cases 2000 --seed 20000 --jobs 2 --out agreement.jsonl

The eight patterns take turns, so that each has an eighth of the cases; ``--patterns drawn`` takes
those of training. A run that was cut goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sifdetect.findings import Morphology
from sifdetect.learn.jobs import for_each
from sifdetect.learn.rule_case import Row, compare_case
from sifdetect.synth.scene import PATTERNS

CLASSES = (
    "side",
    "morphology",
    "denis_right",
    "denis_left",
    "denis_subtype",
    "bakker_right",
    "bakker_left",
    "bakker_corpus",
    "ffp",
    "step_level",
)
ERRORS = ("step_mm", "angle_deg")
LEVEL_OFF = 0.25
"""A step is at its level where it lies this close, a quarter of a segment."""
_Z95 = 1.959964


def main(arguments: list[str]) -> int:
    """Compare, resume where a file holds cases already, print the table."""
    parser = argparse.ArgumentParser(prog="python -m sifdetect.learn.rule_report")
    parser.add_argument("--cases", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first case")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="processes")
    parser.add_argument("--patterns", choices=("even", "drawn"), default="even")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one a case; resumed")
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.cases)
    known = {row["seed"] for row in read_rows(chosen.out)}
    missing = [seed for seed in seeds if seed not in known]
    if missing:
        for_each(_Work(chosen.out, chosen.patterns == "even"), missing, jobs=chosen.jobs)
    rows = {row["seed"]: row for row in read_rows(chosen.out)}
    sys.stdout.write(report([rows[seed] for seed in seeds]) + "\n")
    return 0


@dataclass(frozen=True)
class _Work:
    """Compares the case of a seed and adds its line to a file, whole or not at all."""

    path: Path
    even: bool

    def __call__(self, seed: int) -> None:
        start = time.perf_counter()
        row = compare_case(seed, pattern_of(seed) if self.even else None)
        row["seconds"] = round(time.perf_counter() - start, 2)
        line = (json.dumps(row) + "\n").encode()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # One write, and appended: lines of several processes do not mix.
            os.write(file, line)
        finally:
            os.close(file)


def pattern_of(seed: int) -> Morphology:
    """The pattern whose turn it is: each of eight seeds in a row has another one."""
    return PATTERNS[seed % len(PATTERNS)][0]


def read_rows(path: Path) -> list[Row]:
    """The cases of a file; a last line that was cut off is taken out of it."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def report(rows: list[Row]) -> str:
    """Markdown: agreement with Wilson's 95 % interval, errors, and each disagreement.

    Healed fractures are counted apart: their lines have closed, and a band of sclerosis is all that
    is left of them.
    """
    parts = []
    for name, healed in (("with a line or edema, or none", False), ("healed", True)):
        chosen = [row for row in rows if (row["stage"] == "healed") is healed]
        if chosen:
            parts += [f"{len(chosen)} cases, {name}", "", *_table(chosen), ""]
    parts += [*_differences(rows)]
    return "\n".join(parts)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, J Am Stat Assoc 22:209); (0, 1) for no cases."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, _Z95**2
    center = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def agrees(name: str, truth: Any, stated: Any) -> bool:
    """Equal; a level within LEVEL_OFF."""
    if name == "step_level" and truth is not None and stated is not None:
        return bool(abs(truth - stated) <= LEVEL_OFF)
    return bool(truth == stated)


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| | agree | of | share | 95 % interval |"
    yield "|---|---|---|---|---|"
    for name in CLASSES:
        pairs = [(row["truth"][name], row["stated"][name]) for row in rows]
        if name in ("step_level", "denis_subtype", "bakker_corpus"):
            pairs = [pair for pair in pairs if pair != (None, None)]
        hits = sum(agrees(name, *pair) for pair in pairs)
        low, high = wilson(hits, len(pairs))
        share = hits / len(pairs) if pairs else float("nan")
        yield f"| {name} | {hits} | {len(pairs)} | {share:.3f} | {low:.3f}–{high:.3f} |"
    for name in ERRORS:
        yield _error_line(name, rows)


def _error_line(name: str, rows: list[Row]) -> str:
    errors = [
        abs(row["stated"][name] - row["truth"][name])
        for row in rows
        if row["truth"][name] is not None and row["stated"][name] is not None
    ]
    if not errors:
        return f"| {name} | not measured | 0 | | |"
    half, most = np.percentile(errors, (50, 95))
    return f"| {name}, error | median {half:.2f} | {len(errors)} | 95th percentile {most:.2f} | |"


def _differences(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        wrong = {
            name: f"{row['truth'][name]} -> {row['stated'][name]}"
            for name in CLASSES
            if not agrees(name, row["truth"][name], row["stated"][name])
        }
        if wrong:
            yield json.dumps({"seed": row["seed"], "stage": row["stage"], **wrong, **row["drawn"]})


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
