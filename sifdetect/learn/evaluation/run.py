"""Case after case, each written down when it is done, so that a stopped run can go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sifdetect
from sifdetect.bundle import METADATA, BundleSpec, read_spec, spec_to_json
from sifdetect.engine import Models
from sifdetect.errors import UnreadableInput, UsageError
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.sources import Source
from sifdetect.learn.evaluation.workers import Done, evaluated
from sifdetect.learn.evaluation.worst import KINDS, Kind, bar, worst
from sifdetect.learn.record import code_sha256

ROWS, ORDER, PICTURES = "cases.jsonl", "order.json", "pictures"
Progress = Callable[[int, int, Row], None]
"""Is told how many are done, of how many, and the last one."""


def evaluate(
    source: Source,
    models: Models,
    out: Path,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Row]:
    """The rows of all cases of a source, in its order; those that ``out`` holds are not redone.

    Cases run in ``jobs`` processes; this one alone writes, each row when it is there.

    ``out`` gets ``order.json`` (what was asked for), ``cases.jsonl`` (a row a case) and
    ``pictures/`` (the worst cases so far).

    Raises:
        UnreadableInput: a case is damaged, or there is none.
        UsageError: ``out`` holds the evaluation of something else, or there is less than one job.
        ModelError: a bundle is missing or altered.
    """
    names = source.names()
    out.mkdir(parents=True, exist_ok=True)
    _settle_order(out, {**source.order(), **_reader(models)})
    rows = _kept(out / ROWS, source, names)
    left = [name for name in names if name not in rows]

    def bars() -> dict[str, float]:
        held = [rows[name] for name in names if name in rows]
        return {kind.name: bar(held, kind) for kind in KINDS}

    for done in evaluated(source, models, left, jobs=jobs, bars=bars):
        rows[done.row.about.name] = done.row
        _keep_pictures(out / PICTURES, [rows[n] for n in names if n in rows], done)
        with (out / ROWS).open("a", encoding="utf-8") as stream:
            stream.write(_line(done.row))
            stream.flush()
            os.fsync(stream.fileno())
        if progress is not None:
            progress(sum(name in rows for name in names), len(names), done.row)
    return [rows[name] for name in names]


def so_far(source: Source, models: Models, out: Path) -> list[Row]:
    """The rows that ``out`` holds, in the source's order; no case is evaluated.

    Raises:
        UnreadableInput: ``out`` holds none of its cases.
        UsageError: ``out`` holds the evaluation of something else.
        ModelError: a bundle is missing or altered.
    """
    names = source.names()
    out.mkdir(parents=True, exist_ok=True)
    _settle_order(out, {**source.order(), **_reader(models)})
    rows = _kept(out / ROWS, source, names)
    if not rows:
        raise UnreadableInput(
            f"{out} holds no case that was evaluated", hint="Leave --so-far away to begin"
        )
    return [rows[name] for name in names if name in rows]


def bundles(folder: Path) -> list[BundleSpec]:
    """The specs of the bundles in a folder, by name.

    Raises:
        ModelError: the metadata of one of them cannot be read.
    """
    found = sorted(path.parents[len(METADATA.parts) - 1] for path in folder.glob(f"*/{METADATA}"))
    return [read_spec(path) for path in found]


def picture_of(out: Path, row: Row, kind: Kind) -> Path:
    """Where the picture of a worst case lies, if there is one."""
    return out / PICTURES / f"{kind.name}-{row.about.name.replace('/', '_')}.png"


def replace_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _reader(models: Models) -> dict[str, Any]:
    specs = bundles(models.folder)
    return {
        "engine": models.engine.value,
        "sifdetect": sifdetect.__version__,
        "pipeline_sha256": code_sha256("*.py"),
        "bundles": {spec.name: _as_used(spec) for spec in specs},
    }


def _as_used(spec: BundleSpec) -> str:
    """SHA-256 of all that a bundle's answer depends on: of weights, thresholds and calibration."""
    used = spec_to_json(replace(spec, provenance={}))
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def _settle_order(out: Path, order: dict[str, Any]) -> None:
    path = out / ORDER
    if path.exists() or (out / ROWS).exists():
        if _read_json(path) != order:
            raise UsageError(
                f"{out} holds the evaluation of other bundles or cases, or by other code",
                hint="Give another folder with -o",
            )
        return
    replace_text(path, json.dumps(order, indent=2) + "\n")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _kept(path: Path, source: Source, names: Sequence[str]) -> dict[str, Row]:
    """Rows that are whole and of the cases as they are now; the file holds these alone."""
    if not path.exists():
        return {}
    wanted = set(names)
    rows = {}
    for row in _rows(path.read_text(encoding="utf-8").splitlines()):
        name = row.about.name
        digest = source.digest(name) if name in wanted else None
        if digest in (None, row.about.digest):
            rows[name] = row
    replace_text(path, "".join(_line(row) for row in rows.values()))
    return rows


def _rows(lines: Iterable[str]) -> Iterable[Row]:
    """What can be read; a run that was stopped may leave half a line."""
    for line in lines:
        try:
            yield Row.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue


def _line(row: Row) -> str:
    return json.dumps(row.to_json(), ensure_ascii=False) + "\n"


def _keep_pictures(folder: Path, rows: Sequence[Row], latest: Done) -> None:
    """Keep the latest case where it is among the worst, and drop those that no longer are."""
    folder.mkdir(exist_ok=True)
    wanted = set()
    for kind in KINDS:
        chosen = worst(rows, kind)
        wanted |= {picture_of(folder.parent, row, kind).name for row in chosen}
        drawn = latest.pictures.get(kind.name)
        if latest.row in chosen and drawn is not None:
            path = picture_of(folder.parent, latest.row, kind)
            part = path.with_suffix(".part")
            part.write_bytes(drawn)
            os.replace(part, path)
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
