"""All figures of an evaluation, as ``evaluation.json`` holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sifdetect.anatomy import LesionBit, Modality
from sifdetect.bundle import BundleSpec, Task
from sifdetect.learn.evaluation import reached, splits
from sifdetect.learn.evaluation.bootstrap import LEVEL, RESAMPLES, SEED
from sifdetect.learn.evaluation.marks import BASES
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.study import (
    Document,
    agreement,
    calibration,
    detection,
    failure,
    roc_points,
)
from sifdetect.learn.evaluation.voxels import (
    at_threshold,
    froc_table,
    overlap_table,
    voxel_calibration,
)
from sifdetect.learn.evaluation.worst import KINDS, worst

VERSION = 2


def figures(rows: Sequence[Row], specs: Sequence[BundleSpec], head: Mapping[str, Any]) -> Document:
    """The whole document; it depends on the cases, the bundles and ``head`` alone.

    Args:
        head: how it was made: command, cores, engine.
    """
    lesions = [str(one.name).lower() for one in BASES]
    shown = [(lesion, one.value) for one in Modality for lesion in lesions]
    frocs = [(lesion, m, froc_table(rows, lesion, m)) for lesion, m in shown]
    return {
        "schema_version": VERSION,
        "head": {**head, **_about(rows), "bundles": [_bundle(spec) for spec in specs]},
        "targets": reached.table(rows),
        "study": _study(rows),
        "roc": roc_points(rows),
        "overlap": [entry for one in Modality for entry in overlap_table(rows, one.value)],
        "froc": [
            {**table, "at_bundle": _at_bundle(rows, lesion, m, specs)}
            for lesion, m, table in frocs
            if table is not None
        ],
        "agreement": agreement(rows),
        "calibration": {
            **calibration(rows),
            "groups": _calibrated_groups(rows),
            "voxels": [
                entry for lesion, m in shown for entry in voxel_calibration(rows, lesion, m)
            ],
        },
        "failure": failure(rows),
        "splits": [group.figures() for group in splits.groups(rows)],
        "failed": [
            {"case": row.about.name, "reason": row.error} for row in rows if row.found is None
        ],
        "worst": {
            kind.name: [{"case": r.about.name, "why": kind.why(r)} for r in worst(rows, kind)]
            for kind in KINDS
        },
    }


def _study(rows: Sequence[Row]) -> list[Document]:
    """Detection on all cases, and with CT-occult fractures apart."""
    apart = [row for row in rows if splits.occult(row) != splits.OCCULT]
    groups = {"all cases": list(rows), "without CT-occult fractures": apart}
    for name in sorted({splits.modality_of(row) for row in rows}):
        mine = [row for row in rows if splits.modality_of(row) == name]
        if len(mine) < len(rows):
            groups[name] = mine
        if name == Modality.CT.value and any(splits.occult(row) == splits.OCCULT for row in mine):
            groups["CT without CT-occult fractures"] = [row for row in mine if row in apart]
    if len(apart) == len(rows):
        del groups["without CT-occult fractures"]
    return [{"group": name, **detection(chosen)} for name, chosen in groups.items()]


def _calibrated_groups(rows: Sequence[Row]) -> list[Document]:
    """The calibration error by examination and profile."""
    found = [one for one in splits.groups(rows) if one.by in ("modality", "profile")]
    return [{"by": one.by, "group": one.name, "ece": calibration(one.rows)["ece"]} for one in found]


def _about(rows: Sequence[Row]) -> Document:
    """Which cases these are."""
    seeds = sorted({row.about.seed for row in rows if row.about.seed is not None})
    profiles = sorted({row.about.profile or "unnamed" for row in rows})
    return {
        "cases": len(rows),
        "shifted": sum(row.about.shifted for row in rows),
        "seeds": {"first": seeds[0], "last": seeds[-1], "n": len(seeds)} if seeds else None,
        "profiles": {
            name: sum((row.about.profile or "unnamed") == name for row in rows) for name in profiles
        },
        "truth_by": sorted({row.about.generator for row in rows}),
        "intervals": {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
    }


def _bundle(spec: BundleSpec) -> Document:
    region = spec.task is Task.REGION
    return {
        "name": spec.name,
        "version": spec.version,
        "sha256": spec.sha256,
        "decision": spec.decision if region else None,
        "calibration_cases": spec.provenance.get("calibration_cases"),
    }


def _at_bundle(
    rows: Sequence[Row], lesion: str, modality: str, specs: Sequence[BundleSpec]
) -> Document | None:
    """At the threshold of the bundle that reads the modality; None where it is not there."""
    number = list(LesionBit).index(LesionBit[lesion.upper()])
    for spec in specs:
        if spec.task is Task.REGION and spec.modality.value == modality:
            return at_threshold(rows, lesion, modality, spec.threshold[number])
    return None
