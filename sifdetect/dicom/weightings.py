"""What an MR series shows: an ordered table, attributes of the scanner first, words last."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sifdetect.anatomy import MrWeighting
from sifdetect.dicom.facts import SeriesFacts, any_of, is_dixon, says

FAT_NULL_TI_MS = (70.0, 300.0)
"""Inversion times that null fat between 0.2 and 3 T: ln 2 times fat's T1 of about 130–400 ms."""


@dataclass(frozen=True)
class WeightingRule:
    """What makes an MR series one of its kind."""

    name: str
    applies: Callable[[SeriesFacts], bool]
    weighting: MrWeighting
    citation: str


def weighting_rule(facts: SeriesFacts) -> WeightingRule:
    """The first rule that tells what an MR series shows; the last rule takes all."""
    return next(rule for rule in WEIGHTINGS if rule.applies(facts))


def _between(value: float | None, low: float, high: float) -> bool:
    return value is not None and low <= value <= high


def _inverted(facts: SeriesFacts) -> bool:
    return "IR" in facts.sequence or facts.inversion_ms is not None


def _fat_suppressed(facts: SeriesFacts) -> bool:
    return bool(
        facts.options & {"FS", "FAT", "FAT_AND_WATER", "FATSAT", "FAT_SAT", "SPAIR", "SPIR"}
    )


_says_no_fat_suppression = says(r"(?:no|non|ohne|sans|w/?o|without)[ _-]*(?:fs|fat[ _-]?sat)|nfs")
_fat_words = says(r"fs|fatsat|fat[ _-]?sat\w*|fat[ _-]?supp?\w*|spair|spir|sfs|tfs|chemsat")
_stir_words = says(r"stir\w*|tirm\w*|turbo[ _]?stir")
_water_words = says(r"w|water|wasser|wfs|water[ _]only")
_fat_image_words = says(r"f|fat[ _]only|fett")


def _says_fat_suppressed(facts: SeriesFacts) -> bool:
    return _fat_words(facts) and not _says_no_fat_suppression(facts)


def _long_echo(facts: SeriesFacts) -> bool:
    """Spin echo with long TR, so that fluid is bright: T2 and intermediate weighting."""
    return (
        not _gradient(facts) and (facts.repetition_ms or 0) >= 1500 and ((facts.echo_ms or 0) >= 25)
    )


def _t2_timing(facts: SeriesFacts) -> bool:
    return _long_echo(facts) and (facts.echo_ms or 0) >= 60


def _t1_timing(facts: SeriesFacts) -> bool:
    if _gradient(facts):
        return _between(facts.repetition_ms, 1, 600) and _between(facts.echo_ms, 0.1, 12)
    return _between(facts.repetition_ms, 200, 1300) and _between(facts.echo_ms, 1, 35)


def _gradient(facts: SeriesFacts) -> bool:
    return "GR" in facts.sequence and "SE" not in facts.sequence


def _t2_words(facts: SeriesFacts) -> bool:
    return bool(re.search(r"(?<![a-z])t2(?!\s*\*)", facts.words)) or facts.contrast == "T2"


def _water(facts: SeriesFacts) -> bool:
    return any_of(facts.image_type, "WATER", "W") or (is_dixon(facts) and _water_words(facts))


def _fat_image(facts: SeriesFacts) -> bool:
    return any_of(facts.image_type, "FAT", "F") or (is_dixon(facts) and _fat_image_words(facts))


def _fluid(facts: SeriesFacts) -> bool:
    return _long_echo(facts) or (facts.repetition_ms is None and _t2_words(facts))


WEIGHTINGS: tuple[WeightingRule, ...] = (
    WeightingRule(
        "Dixon water image of a long-echo sequence",
        lambda facts: _water(facts) and _fluid(facts),
        MrWeighting.DIXON_WATER,
        "PS3.3 C.8.13.3.1, Complex Image Component and Image Type WATER",
    ),
    WeightingRule(
        "Dixon fat image, or water image that is not fluid-sensitive",
        lambda facts: (
            _water(facts) or _fat_image(facts) or any_of(facts.image_type, "OPP_PHASE", "OP")
        ),
        MrWeighting.OTHER,
        "edema is not bright on these",
    ),
    WeightingRule(
        "acquisition contrast STIR",
        lambda facts: facts.contrast == "STIR",
        MrWeighting.STIR,
        "PS3.3 C.8.13.3.1.1, Acquisition Contrast",
    ),
    WeightingRule(
        "inversion time that nulls fat",
        lambda facts: _between(facts.inversion_ms, *FAT_NULL_TI_MS) and not _t1_timing(facts),
        MrWeighting.STIR,
        "Inversion Time (0018,0082); Bydder and Young 1985",
    ),
    WeightingRule(
        "T1 with inversion for contrast",
        lambda facts: _between(facts.inversion_ms, 400, 1300) and (facts.echo_ms or 99) <= 35,
        MrWeighting.T1,
        "Inversion Time (0018,0082) near the null of water in a T1 FLAIR",
    ),
    WeightingRule(
        "inversion that nulls fluid",
        lambda facts: (facts.inversion_ms or 0) > 1300 or facts.contrast == "FLUID_ATTENUATED",
        MrWeighting.OTHER,
        "FLAIR: Inversion Time (0018,0082) above 1300 ms",
    ),
    WeightingRule(
        "inversion recovery named STIR",
        lambda facts: _inverted(facts) and _stir_words(facts),
        MrWeighting.STIR,
        "Scanning Sequence (0018,0020) IR and Series Description",
    ),
    WeightingRule(
        "fat suppression with long TR and TE",
        lambda facts: _fat_suppressed(facts) and _long_echo(facts),
        MrWeighting.T2_FATSAT,
        "Scan Options (0018,0022) FS; PS3.3 C.8.13.5.3 Spectrally Selected Suppression",
    ),
    WeightingRule(
        "long TR and TE, named STIR",
        lambda facts: _long_echo(facts) and _stir_words(facts),
        MrWeighting.STIR,
        "Repetition Time, Echo Time and Series Description",
    ),
    WeightingRule(
        "long TR and TE, named fat-suppressed",
        lambda facts: _long_echo(facts) and _says_fat_suppressed(facts),
        MrWeighting.T2_FATSAT,
        "Repetition Time, Echo Time and Series Description",
    ),
    WeightingRule(
        "T1 with fat suppression",
        lambda facts: _t1_timing(facts) and (_fat_suppressed(facts) or _says_fat_suppressed(facts)),
        MrWeighting.OTHER,
        "fat is dark on it, so marrow edema does not stand out from fat",
    ),
    WeightingRule(
        "long TR and TE",
        _t2_timing,
        MrWeighting.T2,
        "Repetition Time, Echo Time: TR ≥ 1500, TE ≥ 60",
    ),
    WeightingRule(
        "short TR and TE",
        _t1_timing,
        MrWeighting.T1,
        "Repetition Time, Echo Time: TR ≤ 1300, TE ≤ 35",
    ),
    WeightingRule(
        "proton density or gradient echo by its times",
        lambda facts: facts.repetition_ms is not None and facts.echo_ms is not None,
        MrWeighting.OTHER,
        "Repetition Time, Echo Time",
    ),
    WeightingRule(
        "named STIR",
        _stir_words,
        MrWeighting.STIR,
        "Series Description (0008,103E), for want of times",
    ),
    WeightingRule(
        "named T2 with fat suppression",
        lambda facts: _t2_words(facts) and (_says_fat_suppressed(facts) or _fat_suppressed(facts)),
        MrWeighting.T2_FATSAT,
        "Series Description (0008,103E), for want of times",
    ),
    WeightingRule(
        "named T2", _t2_words, MrWeighting.T2, "Series Description (0008,103E), for want of times"
    ),
    WeightingRule(
        "named T1",
        lambda facts: (
            (bool(re.search(r"(?<![a-z])t1", facts.words)) or facts.contrast == "T1")
            and not _says_fat_suppressed(facts)
        ),
        MrWeighting.T1,
        "Series Description (0008,103E), for want of times",
    ),
    WeightingRule("nothing tells", lambda _: True, MrWeighting.OTHER, "none of the above"),
)
"""What an MR series shows, physics first, words last."""

TELLING = (
    MrWeighting.STIR,
    MrWeighting.T2_FATSAT,
    MrWeighting.DIXON_WATER,
    MrWeighting.T1,
    MrWeighting.T2,
    MrWeighting.OTHER,
)
"""MR series in the order in which they tell of marrow edema."""
