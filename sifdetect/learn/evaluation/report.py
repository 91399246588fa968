"""What an evaluation leaves behind: ``evaluation.json`` and ``evaluation.html``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sifdetect.bundle import BundleSpec
from sifdetect.learn.evaluation.figures import figures
from sifdetect.learn.evaluation.page import page
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.run import picture_of, replace_text
from sifdetect.learn.evaluation.worst import KINDS, worst

FIGURES, PAGE = "evaluation.json", "evaluation.html"


def write_report(
    out: Path, rows: Sequence[Row], specs: Sequence[BundleSpec], *, made: Mapping[str, Any]
) -> dict[str, Any]:
    """Write both files to ``out``, beside the rows and pictures; gives the figures.

    The same rows and ``made`` give the same bytes: there is no date and no time.

    Args:
        made: what the head says of how it was made, in words.
    """
    document = figures(rows, specs, {"made": dict(made)})
    pictures = {
        (kind.name, row.about.name): path.read_bytes()
        for kind in KINDS
        for row in worst(rows, kind)
        if (path := picture_of(out, row, kind)).exists()
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    replace_text(out / FIGURES, text + "\n")
    replace_text(out / PAGE, page(document, pictures))
    return document


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
