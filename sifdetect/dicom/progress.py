"""What a comparison with an earlier study says, in plain English: one wording everywhere."""

from __future__ import annotations

from sifdetect.anatomy import Side
from sifdetect.changes import Change, Comparison, FindingChange
from sifdetect.dicom.words import enumerated, millilitres, sentence

_PLACE = {Side.RIGHT: "right ala", Side.LEFT: "left ala", Side.MIDLINE: "midline"}


def progress(comparison: Comparison | None) -> list[str]:
    """With what it was compared, each finding's change, and what could not be compared."""
    if comparison is None:
        return []
    changes = [_changed(one, comparison) for one in comparison.changes]
    if not changes:
        changes = ["No finding on either date."]
    fitted = comparison.registration
    how = (
        [f"The two sacra lie within {fitted.residual_mm:.1f} mm after rigid registration."]
        if fitted is not None and fitted.accepted and fitted.residual_mm is not None
        else []
    )
    return [_against(comparison), *changes, *how, *map(sentence, comparison.limits)]


def contralateral(comparison: Comparison | None) -> str:
    """The one sentence that goes before all others; empty where there is no new ala."""
    if comparison is None or not comparison.new_contralateral:
        return ""
    sides = comparison.new_contralateral
    opposite = enumerated([side.opposite.value for side in sides])
    new = enumerated([_PLACE[side] for side in sides])
    return f"New contralateral finding in the {new}, opposite the earlier one on the {opposite}."


def is_worse(text: str) -> bool:
    """True for a sentence of ``progress`` that speaks of something new or grown."""
    return text.startswith((_NEW, _CONTRALATERAL)) or ": grown" in text


_NEW = "New finding"
_CONTRALATERAL = "New contralateral finding"


def _against(comparison: Comparison) -> str:
    date = f" of {comparison.prior_date}" if comparison.prior_date else " before"
    days = comparison.days
    since = "" if days is None else f" ({days} {'day' if days == 1 else 'days'} earlier)"
    kinds = dict.fromkeys((comparison.modality.value, comparison.prior_modality.value))
    now, *other = kinds
    against = f"{other[0]} study" if other else f"{now} study"
    return f"Compared with the {against}{date}{since}."


def _changed(one: FindingChange, comparison: Comparison) -> str:
    place = _PLACE[one.side]
    if one.change is Change.NEW:
        title = _CONTRALATERAL if one.side in comparison.new_contralateral else _NEW
        return f"{title} in the {place}{_volume(one)}: {one.reason}."
    return sentence(f"{place}: {one.change.value}{_volume(one)}; {one.reason}")


def _volume(one: FindingChange) -> str:
    """What is there now, or was; nothing where the reason tells both."""
    volumes = [v for v in (one.volume_mm3, one.prior_volume_mm3) if v is not None]
    if len(volumes) != 1 or not one.measure:
        return ""
    return f" ({one.measure} {millilitres(volumes[0])})"
