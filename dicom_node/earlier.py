"""Which earlier study of a patient is the one to compare with: rules over what an archive lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_node.archive import number_in
from sifdetect.dicom.identity import Identity, identity_of

_PELVIS = re.compile(
    r"pelv|beck|sacr|sakr|kreuz|isg|sij|si[ -]joint|hip|h(ü|ue)ft|lws|spine|lumb|abdom|bassin"
    r"|bacin",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"head|skull|kopf|sch(ä|ae)d|brain|hirn|cran|knee|knie|should|schult|wrist|hand|foot|fu(ß|ss)"
    r"|ankle|elbow|thora|chest|breast|mamm|neck|hals|cerv|hws",
    re.IGNORECASE,
)
_FEWEST_IMAGES = 5
_MOST_SERIES = 8
_DAYS = 365.25


@dataclass(frozen=True, kw_only=True)
class Sought:
    """The study that a prior is sought for.

    Attributes:
        patient_id: as the study spells it, which ``identity`` does not keep.
    """

    study_instance_uid: str
    patient_id: str
    identity: Identity
    modality: str


def query_of(sought: Sought) -> dict[str, str] | None:
    """What an archive is asked for; None where nobody could say whose studies they are."""
    identity = sought.identity
    if not sought.patient_id or identity.day is None:
        return None
    return {"PatientID": sought.patient_id, "StudyDate": f"-{identity.day:%Y%m%d}"}


def candidates(sought: Sought, studies: Sequence[Dataset], *, max_years: float) -> list[Dataset]:
    """Studies to compare with, the best first: of the pelvis, of the same modality, the newest."""
    fitting = [one for one in studies if _fits(sought, one, max_years)]
    return sorted(fitting, key=lambda one: _merit(sought, one), reverse=True)


def worth_fetching(series: Sequence[Dataset], *, modality: str, most: int) -> list[Dataset]:
    """Series of CT and MR, the most telling first, as many as the limit on images allows.

    An archive need not say how many images a series has; then the limits of the retrieval hold.
    """
    images = [
        one
        for one in series
        if one.get("Modality") in ("CT", "MR")
        and number_in(one, "NumberOfSeriesRelatedInstances") not in range(1, _FEWEST_IMAGES)
        and not (_ELSEWHERE.search(_words(one)) and not _PELVIS.search(_words(one)))
    ]
    images.sort(
        key=lambda one: (
            one.get("Modality") == modality,
            bool(_PELVIS.search(_words(one))),
            number_in(one, "NumberOfSeriesRelatedInstances"),
        ),
        reverse=True,
    )
    chosen: list[Dataset] = []
    for one in images[:_MOST_SERIES]:
        most -= number_in(one, "NumberOfSeriesRelatedInstances")
        if most < 0:
            break
        chosen.append(one)
    return chosen


def own_report(series: Sequence[Dataset]) -> Dataset | None:
    """The series that may hold our own report of that study; who reads it makes sure."""
    ours = (
        one
        for one in series
        if one.get("Modality") == "SR" and str(one.get("SeriesDescription") or "").startswith("SIF")
    )
    return next(ours, None)


def _fits(sought: Sought, study: Dataset, max_years: float) -> bool:
    theirs, ours = identity_of(study), sought.identity
    if str(study.StudyInstanceUID) == sought.study_instance_uid or theirs.day is None:
        return False
    assert ours.day is not None
    days = (ours.day - theirs.day).days
    words = _words(study)
    return (
        0 <= days <= max_years * _DAYS
        and theirs.before(ours) is True
        and ours.same_patient(theirs) is True
        and bool({"CT", "MR"} & _modalities(study))
        and not (_ELSEWHERE.search(words) and not _PELVIS.search(words))
    )


def _merit(sought: Sought, study: Dataset) -> tuple[bool, bool, str, str]:
    named = bool(_PELVIS.search(_words(study)))
    same = sought.modality in _modalities(study)
    return named, same, str(study.get("StudyDate") or ""), str(study.get("StudyTime") or "")


def _modalities(study: Dataset) -> set[str]:
    value = study.get("ModalitiesInStudy") or []
    return {value} if isinstance(value, str) else {str(one) for one in value}


def _words(dataset: Dataset) -> str:
    keys = ("StudyDescription", "SeriesDescription", "BodyPartExamined")
    return " ".join(str(dataset.get(key) or "") for key in keys)
