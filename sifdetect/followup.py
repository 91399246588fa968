"""An earlier study from its paths, and this one analysed beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.engine import Models
from sifdetect.errors import InputError, UnreadableInput, UnsuitablePrior
from sifdetect.inputs import StudyInput, read_inputs
from sifdetect.pipeline import analyze_study
from sifdetect.prior import (
    Examination,
    examination,
    require_comparable,
    with_comparison,
    without_comparison,
)
from sifdetect.results import findings_file, read_results
from sifdetect.study import Analysis

Earlier = Examination | InputError | None
"""The prior study; why it cannot be assessed; None where none was given."""


def read_examination(
    paths: Sequence[Path],
    models: Models,
    *,
    modality: Modality | None,
    weightings: Sequence[MrWeighting],
) -> Examination:
    """One study, analysed again, or the findings of one that was analysed before.

    Raises:
        UnsuitablePrior: there are several studies.
        InputError: it cannot be read, or not assessed.
        UsageError: images and findings together, or NIfTI without what it does not say.
        ModelError: a bundle is missing or altered.
    """
    named = [Path(path) for path in paths]
    written = [findings_file(path) for path in named]
    if len(named) == 1 and written[0] is not None:
        return read_results(written[0])
    one, *others = read_inputs(named, modality=modality, weightings=weightings)
    if others:
        raise UnsuitablePrior(
            f"{len(others) + 1} studies lie in {named[0]}, and one is compared with one",
            hint="Give the folder of one study",
        )
    return examination(analyze_study(one.study, models), one.identity)


def read_prior(
    paths: Sequence[Path],
    models: Models,
    *,
    modality: Modality | None,
    weightings: Sequence[MrWeighting],
) -> Earlier:
    """As ``read_examination``; a study that cannot be assessed costs the comparison alone.

    Raises:
        UnsuitablePrior: there are several studies.
        UnreadableInput: nothing can be read.
        UsageError, ModelError: as there.
    """
    if not paths:
        return None
    try:
        return read_examination(paths, models, modality=modality, weightings=weightings)
    except (UnsuitablePrior, UnreadableInput):
        raise
    except InputError as error:
        return error


def require(one: StudyInput, earlier: Earlier) -> None:
    """Refuse a prior study that must not be set beside this one.

    Raises:
        UnsuitablePrior: the same study, another patient, or a study that is newer.
    """
    if isinstance(earlier, Examination):
        require_comparable(one.study.study_instance_uid, one.identity, earlier)


def analyzed(one: StudyInput, models: Models, earlier: Earlier) -> Analysis:
    """The study's analysis, with what has changed since the prior study.

    Raises:
        InputError, ModelError: as ``analyze_study``.
    """
    analysis = analyze_study(one.study, models)
    if earlier is None:
        return analysis
    if isinstance(earlier, InputError):
        findings = without_comparison(analysis.findings, earlier)
    else:
        now = examination(analysis, one.identity)
        findings = with_comparison(analysis.findings, now, earlier)
    return replace(analysis, findings=findings)
