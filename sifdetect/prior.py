"""An earlier study beside this one: may they be compared, how they lie, what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from sifdetect.anatomy import Modality
from sifdetect.changes import Comparison
from sifdetect.compare import Dated, compare, new_contralateral
from sifdetect.dicom.identity import Identity
from sifdetect.errors import InputError, UnsuitablePrior
from sifdetect.findings import SeriesEvidence, StudyFindings, Warning
from sifdetect.measurements import UNCERTAIN
from sifdetect.register import MAX_RESIDUAL_MM, Fit, register
from sifdetect.rules import COMPLETE
from sifdetect.study import Analysis, Region
from sifdetect.surface import Bone

NOT_COMPARED = "prior-not-compared"


@dataclass(frozen=True)
class Scan:
    """One modality of an examination: what it shows, and its bone where that is known."""

    shown: Dated
    bone: Bone | None = None


@dataclass(frozen=True)
class Examination:
    """An analysed study, ready to be compared.

    Attributes:
        study_instance_uid: of the study, or its name.
        identity: of patient and date; None where the input does not say.
        scans: one for each modality, the reported one first.
        version: of the algorithm, with its bundles.
        limits: what is not known of it, in words.
    """

    study_instance_uid: str
    identity: Identity | None
    scans: tuple[Scan, ...]
    version: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def examination(analysis: Analysis, identity: Identity | None) -> Examination:
    """Of a study that has been analysed here."""
    return Examination(
        study_instance_uid=analysis.findings.study_instance_uid,
        identity=identity,
        scans=tuple(_scan(analysis.findings, region) for region in analysis.regions),
        version=version_of(analysis.findings),
    )


def version_of(findings: StudyFindings) -> tuple[str, ...]:
    """What found them: two versions may outline one finding differently."""
    by = findings.algorithm
    return (by.name, by.version, *(f"{name}={sha}" for name, sha in sorted(by.bundles.items())))


def shown(findings: StudyFindings, stated: SeriesEvidence) -> Dated:
    """What one modality shows, as far as the findings say it."""
    return Dated(
        study_instance_uid=findings.study_instance_uid,
        modality=stated.modality,
        fluid_sensitive=stated.fluid_sensitive,
        presence=stated.presence,
        fractures=stated.fractures,
        coverage=findings.coverage.by_level,
        uncertain=frozenset(o.side for o in findings.other_findings if o.kind == UNCERTAIN),
    )


def _scan(findings: StudyFindings, region: Region) -> Scan:
    seg = region.segmentation
    told = shown(findings, region.stated)
    uncertain = frozenset(o.side for o in region.other_findings if o.kind == UNCERTAIN)
    told = replace(
        told, coverage=dict(seg.frame.coverage), uncertain=uncertain, marked=region.marked
    )
    return Scan(told, Bone(seg.anatomy, seg.in_view, seg.frame))


def require_comparable(uid: str, identity: Identity | None, prior: Examination) -> None:
    """Refuse what must not be set side by side, before any of it is analysed.

    Raises:
        UnsuitablePrior: the same study, another patient, or a study that is newer.
    """
    named = f"The prior study {prior.study_instance_uid}"
    if uid == prior.study_instance_uid:
        raise UnsuitablePrior(
            f"{named} is the study itself", hint="Give an earlier study of the patient"
        )
    if identity is None or prior.identity is None:
        return
    if identity.same_patient(prior.identity) is False:
        raise UnsuitablePrior(
            f"{named} is of another patient than the study {uid} (their IDs or dates of birth"
            " differ)",
            hint="Give an earlier study of the same patient",
        )
    if prior.identity.before(identity) is False:
        raise UnsuitablePrior(
            f"{named} of {prior.identity.day} is newer than the study {uid} of {identity.day}",
            hint="Change their places",
        )


def with_comparison(findings: StudyFindings, now: Examination, prior: Examination) -> StudyFindings:
    """The findings with what has changed since the prior study."""
    return replace(findings, comparison=compared(now, prior))


def without_comparison(findings: StudyFindings, error: InputError) -> StudyFindings:
    """The findings with the reason why the prior study could not be assessed."""
    text = f"no comparison: the prior study could not be assessed ({error.reason})"
    return replace(findings, warnings=(*findings.warnings, Warning(code=NOT_COMPARED, text=text)))


def compared(now: Examination, prior: Examination) -> Comparison:
    """What has changed, on the modality that both studies have, else on what each reports."""
    here, there = _pair(now.scans, prior.scans)
    fit = None
    if here.bone is not None and there.bone is not None:
        fit = register(there.bone, here.bone)
    trusted = fit is not None and fit.registration.accepted
    changes = compare(here.shown, there.shown, fit.matrix if fit and trusted else None)
    day, then = _days(now.identity), _days(prior.identity)
    return Comparison(
        prior_study_instance_uid=prior.study_instance_uid,
        prior_presence=there.shown.presence,
        modality=here.shown.modality,
        prior_modality=there.shown.modality,
        prior_date=_date(prior.identity),
        days=None if day is None or then is None else day - then,
        new_contralateral=new_contralateral(list(changes), there.shown),
        changes=changes,
        registration=None if fit is None else fit.registration,
        limits=(*_limits(now, prior), *_scan_limits(here, there, fit, first=now.scans[0])),
    )


def _pair(now: Sequence[Scan], prior: Sequence[Scan]) -> tuple[Scan, Scan]:
    """Of one modality where there is one that both have; the reported ones first."""
    pairs = list(product(now, prior))
    return min(pairs, key=lambda pair: pair[0].shown.modality is not pair[1].shown.modality)


def _date(identity: Identity | None) -> str | None:
    day = None if identity is None else identity.day
    return None if day is None else day.isoformat()


def _days(identity: Identity | None) -> int | None:
    return None if identity is None or identity.day is None else identity.day.toordinal()


def _limits(now: Examination, prior: Examination) -> list[str]:
    limits = [*prior.limits, *now.limits]
    same = now.identity and prior.identity and now.identity.same_patient(prior.identity)
    if not same:
        limits.append("whether both studies are of one patient could not be checked")
    if _days(now.identity) is None or _days(prior.identity) is None:
        limits.append("which study is the earlier one could not be checked")
    if now.version != prior.version:
        limits.append("the prior study was analysed by another version: volumes may differ by that")
    return limits


def _scan_limits(here: Scan, there: Scan, fit: Fit | None, *, first: Scan) -> list[str]:
    now, then = here.shown, there.shown
    limits = []
    if here is not first:
        limits.append(f"compared on {now.modality.value}, which the prior study has too")
    if now.modality is not then.modality:
        limits.append(
            f"{then.modality.value} before, {now.modality.value} now: extent is not compared"
        )
    elif now.modality is Modality.MR and now.fluid_sensitive is not then.fluid_sensitive:
        limits.append("only one of the two has a fat-suppressed series: extent is not compared")
    if here.bone is None or there.bone is None:
        limits.append(
            "no labels of the prior sacrum are at hand: compared ala by ala, not in place"
        )
    elif fit is None:
        limits.append(
            "the two scans share too little of the sacrum to be laid over each other:"
            " compared ala by ala, not in place"
        )
    elif not fit.registration.accepted:
        limits.append(
            f"the two sacra lie {fit.registration.residual_mm:.1f} mm apart after registration,"
            f" more than {MAX_RESIDUAL_MM:.0f} mm: compared ala by ala, not in place"
        )
    both = [
        level.name
        for level, share in sorted(now.coverage.items())
        if min(share, then.coverage.get(level, 0.0)) < COMPLETE
    ]
    if both:
        limits.append(f"{', '.join(both)} not wholly in view on both dates")
    return limits
