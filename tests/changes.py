"""A comparison of two dates, for the tests of what carries one."""

from __future__ import annotations

from sifdetect.anatomy import Modality, Side
from sifdetect.changes import Change, Comparison, FindingChange, Registration
from sifdetect.findings import Presence

COMPARISON = Comparison(
    prior_study_instance_uid="1.1",
    prior_presence=Presence.PRESENT,
    modality=Modality.MR,
    prior_modality=Modality.MR,
    prior_date="2026-01-05",
    days=91,
    new_contralateral=(Side.LEFT,),
    changes=(
        FindingChange(
            side=Side.LEFT,
            change=Change.NEW,
            id="F2",
            measure="edema",
            volume_mm3=9.0,
            reason="not there before",
        ),
        FindingChange(
            side=Side.RIGHT,
            change=Change.HEALED,
            prior_id="F1",
            overlap=0.5,
            reason="no longer seen",
        ),
    ),
    registration=Registration(method="rigid", residual_mm=1.2, accepted=True),
    limits=("S5 not wholly in view on both dates",),
)
