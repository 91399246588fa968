"""Series that are not analysed: an ordered table, the first rule that matches says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sifdetect.anatomy import Modality
from sifdetect.dicom.facts import SeriesFacts, any_of, is_dixon, object_name, says


@dataclass(frozen=True)
class Refusal:
    """Why a series is not analysed."""

    name: str
    applies: Callable[[SeriesFacts], bool]
    reason: str
    citation: str


def refusal(facts: SeriesFacts) -> Refusal | None:
    """The first rule that keeps the series from being analysed."""
    return next((rule for rule in REFUSALS if rule.applies(facts)), None)


def _derived(facts: SeriesFacts) -> bool:
    return facts.image_type[:2] == ("DERIVED", "SECONDARY") and not is_dixon(facts)


_is_localizer = says("localizer|localiser|scout|loc|topogram|surview|scanogram|survey|plan scan")
_is_projection = says(r"mip|minip|vrt|3d[ _]?render\w*|volume rendering")
_is_diffusion = says("dwi|diff|diffusion|adc|dti|trace[wd]?|e?p2d[ _]diff|resolve")
_is_perfusion = says("perf|perfusion|dce|twist|tricks|dyn|dynamic")
_is_angiography = says("tof|mra|angio|mrcp|myelo")
_is_subtraction = says("sub|subtraction")
_is_reformat = says("mpr|reformat|reformatted|curved")

_SUBTRACTIONS = ("SUBTRACT", "SUBTRACTION", "PHASE SUBTRACT", "MODULUS SUBTRACT")
_MAPS = ("T1 MAP", "T2 MAP", "T2_STAR MAP", "DENSITY MAP", "DIFFUSION MAP", "MAP")

REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "screen capture",
        lambda facts: (
            "Secondary Capture" in object_name(facts.sop_class_uid)
            or facts.colored
            or any_of(facts.image_type, "SCREEN SAVE", "DOSE", "PASTED")
        ),
        "secondary or screen capture, not an acquired image",
        "PS3.3 A.8, C.8.6",
    ),
    Refusal(
        "no CT or MR image",
        lambda facts: facts.modality is None,
        "not a CT or MR image",
        "PS3.4 B.5",
    ),
    Refusal(
        "localizer",
        lambda facts: any_of(facts.image_type, "LOCALIZER", "SCOUT") or _is_localizer(facts),
        "localizer (scout)",
        "PS3.3 C.8.2.1.1.1, Image Type value 3 LOCALIZER",
    ),
    Refusal(
        "projection",
        lambda facts: (
            any_of(facts.image_type, "MIP", "MINIP", "PROJECTION IMAGE", "VOLUME RENDERED", "VRT")
            or any_of(facts.image_type, "MAX_IP", "MIN_IP", "VOLUME_RENDER", "SURFACE_RENDER")
            or _is_projection(facts)
        ),
        "projection (MIP) or rendering of another series",
        "PS3.3 C.8.16.2.1.4, Frame Type value 4",
    ),
    Refusal(
        "diffusion",
        lambda facts: (
            facts.b_value > 0
            or facts.contrast == "DIFFUSION"
            or any_of(facts.image_type, "DIFFUSION", "ADC", "TRACEW", "FA", "EADC", "DTI")
            or (facts.modality is Modality.MR and _is_diffusion(facts))
        ),
        "diffusion-weighted series or map computed from one (DWI, ADC)",
        "PS3.3 C.8.13.5.9, MR Diffusion",
    ),
    Refusal(
        "perfusion",
        lambda facts: (
            facts.contrast == "PERFUSION"
            or any_of(facts.image_type, "PERFUSION", "CBF", "CBV", "MTT", "TTP", "TMAX")
            or (facts.modality is Modality.MR and _is_perfusion(facts))
        ),
        "perfusion or dynamic series",
        "PS3.3 C.8.13.3.1.1, Acquisition Contrast PERFUSION",
    ),
    Refusal(
        "phase or flow",
        lambda facts: (
            facts.contrast in ("FLOW_ENCODED", "TIME_OF_FLIGHT", "TAGGING")
            or facts.image_type[2:3] in (("P",), ("PHASE",), ("PHASE MAP",), ("VELOCITY MAP",))
            or (facts.modality is Modality.MR and _is_angiography(facts))
        ),
        "phase, flow or angiographic series",
        "PS3.3 C.8.3.1.1.1, Image Type value 3",
    ),
    Refusal(
        "subtraction",
        lambda facts: (
            any_of(facts.image_type, *_SUBTRACTIONS)
            or (facts.modality is Modality.MR and _is_subtraction(facts))
        ),
        "subtraction of two series",
        "PS3.3 C.8.3.1.1.1, Image Type",
    ),
    Refusal(
        "map",
        lambda facts: any_of(facts.image_type, *_MAPS),
        "map computed from other images",
        "PS3.3 C.8.3.1.1.1, Image Type value 3",
    ),
    Refusal(
        "reformat",
        lambda facts: (
            any_of(facts.image_type, "MPR", "REFORMATTED", "CSA MPR", "CURVED_MPR", "CPR")
            or (facts.image_type[:1] == ("DERIVED",) and _is_reformat(facts))
        ),
        "reformatted (MPR) from another series",
        "PS3.3 C.8.2.1.1.1, Image Type value 1 DERIVED",
    ),
    Refusal(
        "derived",
        _derived,
        "derived from other images (Image Type DERIVED\\SECONDARY)",
        "PS3.3 C.7.6.1.1.2, Image Type values 1 and 2",
    ),
)
"""Series that are not analysed, most certain first."""
