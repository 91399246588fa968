"""The cases of papers A and D (docs/rules.md) as synthetic patients: ``tests/golden/*.json``.

A file tells what the paper shows (limbs, transverse limb, displacement, rami), which healthy pelvis
it is put into, and how the paper classifies it. Bones, waves of the lines and edema are drawn from
the seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sifdetect.anatomy import Side
from sifdetect.findings import Morphology
from sifdetect.synth.anterior_ring import AnteriorRing, RamusFracture
from sifdetect.synth.displacement import Displacement, Part
from sifdetect.synth.fracture import FractureParams, Stage
from sifdetect.synth.noise import SmoothNoise
from sifdetect.synth.scene import CaseParams, sample_case
from sifdetect.synth.sheets import Course, Limb, TransverseLimb

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class PaperCase:
    """One patient of a paper.

    Attributes:
        told: what the paper says of it.
        dates: the patient on each date, the last one last.
        expected: what the paper calls it on that last date.
    """

    name: str
    told: str
    dates: tuple[CaseParams, ...]
    expected: dict[str, Any]


def paper_cases() -> list[PaperCase]:
    """All of them, in the order of their names."""
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def _read(path: Path) -> PaperCase:
    told = json.loads(path.read_text(encoding="utf-8"))
    dates = tuple(_patient(told["seed"], date) for date in told["dates"])
    return PaperCase(path.stem, told["told"], dates, told["expected"])


def _patient(seed: int, date: dict[str, Any]) -> CaseParams:
    """The healthy pelvis of a seed with one date's fractures."""
    healthy = sample_case(seed, morphology=Morphology.NONE, mimics=0.0)
    rng = np.random.default_rng([seed, 99])
    limbs = tuple(_limb(rng, **limb) for limb in date["limbs"])
    transverse = _transverse(rng, date["transverse"], limbs) if "transverse" in date else None
    rami = tuple(
        RamusFracture.sample(rng, Side(one["side"]), superior=one["superior"])
        for one in date.get("rami", ())
    )
    margin = SmoothNoise.sample(rng, 9.0)
    return replace(
        healthy,
        fracture=FractureParams(
            Morphology(date["pattern"]), Stage.ACUTE, limbs, transverse, margin
        ),
        displacement=_moved(**date["moved"]) if "moved" in date else None,
        ring=AnteriorRing(rami, Stage.ACUTE, SmoothNoise.sample(rng, 9.0)),
    )


def _limb(rng: np.random.Generator, **told: Any) -> Limb:
    return Limb(
        side=Side(told["side"]),
        lateral=told["lateral"],
        upper=told["upper"],
        lower=told["lower"],
        dorsal=1.0,
        width_mm=1.5,
        edema_mm=10.0,
        occult=told.get("occult", False),
        roughness=SmoothNoise.sample(rng, 11.0),
        course=Course[told.get("course", "PARALLEL")],
    )


def _transverse(rng: np.random.Generator, level: float, limbs: tuple[Limb, ...]) -> TransverseLimb:
    reach = {limb.side: limb.lateral for limb in limbs}
    roughness = SmoothNoise.sample(rng, 11.0)
    return TransverseLimb(level, reach[Side.RIGHT], reach[Side.LEFT], 1.5, 8.0, roughness)


def _moved(*, kyphosis_deg: float, step_mm: float) -> Displacement:
    return Displacement(Part.UPPER, kyphosis_deg, step_mm)
