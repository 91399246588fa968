"""What rules fire on, in words with units: one row for each name of their evidence.

Names with a side ("right_lean_deg"), or of the line that only CT shows ("ct_right_lean_deg"), have
the row of what follows. A name that a rule uses and no row has fails tests/test_quantities.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sifdetect.denis import break_name
from sifdetect.dicom.words import BASIS, millilitres, percent

Value = float | str | bool


@dataclass(frozen=True)
class Quantity:
    """How one quantity is said.

    Attributes:
        words: with "{}" for the value and its unit.
        shown: the value with its unit.
        negative: the same words for a value below zero, which is then said without its sign.
        none: for zero, or for no.
    """

    words: str
    shown: Callable[[Value], str] = str
    negative: str = ""
    none: str = ""

    def said(self, value: Value) -> str:
        """The value in its words."""
        if isinstance(value, str):
            return self.words.format(self.shown(value))
        if self.none and round(float(value), 1) == 0:
            return self.none
        if self.negative and value < 0:
            return self.negative.format(self.shown(-value))
        return self.words.format(self.shown(value))


def _number(unit: str, digits: int = 1) -> Callable[[Value], str]:
    def shown(value: Value) -> str:
        return f"{round(float(value), digits) + 0.0:.{digits}f}{unit}"

    return shown


def _level(value: Value) -> str:
    return break_name(float(value))


def _basis(value: Value) -> str:
    return BASIS.get(str(value), str(value))


def _volume(value: Value) -> str:
    return millilitres(float(value))


def _share(value: Value) -> str:
    return percent(float(value))


_MM, _MM2, _DEG, _COUNT = _number(" mm"), _number(" mm²", 0), _number("°"), _number("", 0)

QUANTITIES = {
    # presence
    "findings": Quantity("findings: {}", _COUNT),
    "probability": Quantity("probability {}", _share),
    "sacrum_in_view": Quantity("{} of the sacrum in view", _share),
    # any
    "rule": Quantity("{}"),
    "basis": Quantity("seen as {}", _basis),
    # Denis
    "ala_zone": Quantity("the ala alone: zone {}", _COUNT),
    "alar_mm3": Quantity("{} of line in the alar zone", _volume, none="no line in the alar zone"),
    "foraminal_mm3": Quantity(
        "{} of line in the foraminal zone", _volume, none="no line in the foraminal zone"
    ),
    "central_mm3": Quantity(
        "{} of line in the central zone", _volume, none="no line in the central zone"
    ),
    "touches": Quantity("touches {}"),
    "crosses": Quantity("crosses {}"),
    "canal_mm": Quantity("{} to the sacral canal", _MM, none="reaches the sacral canal"),
    "subtype_rule": Quantity('subtype by rule "{}"'),
    "wall_step_mm": Quantity(
        "step of the posterior wall {}, the upper part forward",
        _MM,
        negative="step of the posterior wall {}, the upper part backward",
        none="no step of the posterior wall",
    ),
    "wall_angle_deg": Quantity(
        "kyphotic angle {}",
        _DEG,
        negative="kyphotic angle 0° (the wall bends {} the other way)",
    ),
    "wall_level": Quantity("step and angle at {}"),
    "s1_lines_mm3": Quantity("{} of further lines in the body of S1", _volume),
    # pattern
    "transverse_level": Quantity("transverse limb at {}", _level),
    "transverse_width_mm": Quantity("{} wide", _number(" mm", 0)),
    "transverse_basis": Quantity("transverse limb seen as {}", _basis),
    "upper_level": Quantity("limb from {}", _level),
    "lower_level": Quantity("down to {}", _level),
    # Bakker
    "joint_mm": Quantity("{} to the sacroiliac joint", _MM, none="reaches the sacroiliac joint"),
    "joint_angle_deg": Quantity("{} between line and joint face", _DEG),
    "lean_deg": Quantity(
        "nears the joint dorsally by {}", _DEG, negative="leaves the joint dorsally by {}"
    ),
    "depth_mm": Quantity("goes in {} from the anterior cortex", _MM),
    "joint_contact_mm": Quantity(
        "lies in the joint face over {}", _MM, none="not in the joint face"
    ),
    "foramen_contact_mm2": Quantity(
        "lies against a foramen over {}", _MM2, none="lies against no foramen"
    ),
    "anterior_cortex_broken_mm": Quantity(
        "parts the anterior cortex over {}", _MM, none="anterior cortex not parted"
    ),
    "cortex_ridge_mm": Quantity("ridge of the anterior cortex {} high", _MM),
    "cortex_bent_mm": Quantity(
        "anterior cortex {} higher than on the other side",
        _MM,
        negative="anterior cortex {} lower than on the other side",
        none="anterior cortex as high as on the other side",
    ),
    # FFP
    "fractured_alae": Quantity("fractured alae: {}", _COUNT),
    "transverse": Quantity("a transverse limb", none="no transverse limb"),
    "rami_in_view": Quantity("sides of the anterior ring in view: {}", _COUNT),
    "rami_broken": Quantity("sides of the anterior ring broken: {}", _COUNT),
    "shift_mm": Quantity(
        "bone lateral of the line {} too high",
        _MM,
        negative="bone lateral of the line {} too low",
        none="bone lateral of the line in its place",
    ),
}
"""By the name that rules give it, without side."""

_PARTS = ("right", "left", "corpus")


def parted(name: str) -> tuple[str, str]:
    """What a quantity is of, and its row: "ct_right_lean_deg" is ("on CT, right", "lean_deg")."""
    where, rest = ("on CT", name[3:]) if name.startswith("ct_") else ("", name)
    side, _, row = rest.partition("_")
    if side in _PARTS and row in QUANTITIES:
        return ", ".join(part for part in (where, side) if part), row
    return where, rest


def evidence_said(evidence: Mapping[str, Value], *, rule: str = "") -> list[str]:
    """What a rule fired on: a phrase for each part of the sacrum, then one for the whole.

    A name without a row, which another version may have written, stands as it is.

    Args:
        rule: said already, and so left out.
    """
    told: dict[str, list[str]] = {}
    for name, value in evidence.items():
        where, row = parted(name)
        if row == "rule" and value == rule:
            continue
        quantity = QUANTITIES.get(row, Quantity(f"{row.replace('_', ' ')} {{}}"))
        told.setdefault(where, []).append(quantity.said(value))
    return [
        f"{where}: {'; '.join(said)}" if where else "; ".join(said) for where, said in told.items()
    ]
