"""Findings JSON holds for any findings, not only for those that the rules make today."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sifdetect.anatomy import SacralLevel
from sifdetect.findings import (
    BakkerFinding,
    BakkerType,
    Classified,
    Coverage,
    DenisFinding,
    FfpFinding,
    FfpType,
    Fracture,
    OtherFinding,
    StudyFindings,
    from_json,
    to_json,
)

SHARE = st.floats(0, 1)
SIZE = st.floats(0, 1e6)
POINT = st.tuples(*[st.floats(-1e4, 1e4)] * 3)
WORD = st.text(min_size=1, max_size=12)
WHY = {
    "rule": st.text(max_size=12),
    "evidence": st.dictionaries(WORD, st.one_of(st.booleans(), WORD, st.floats(-99, 99))),
    "unseen": st.lists(WORD, max_size=2).map(tuple),
}
PER_SIDE = st.sampled_from((0, 1, 2, 3, None))
BAKKER = st.none() | st.sampled_from(BakkerType)
FRACTURE = st.builds(
    Fracture,
    volume_mm3=SIZE,
    length_mm=SIZE,
    centroid_lps_mm=POINT,
    foramen_distance_mm=st.dictionaries(st.sampled_from(SacralLevel), SIZE),
    canal_distance_mm=st.none() | SIZE,
    step_mm=st.none() | SIZE,
    angle_deg=st.none() | st.floats(-90, 90),
    edema_mm3=st.none() | SIZE,
    sclerosis_mm3=st.none() | SIZE,
    confidence=SHARE,
)
FINDINGS = st.builds(
    StudyFindings,
    study_instance_uid=WORD,
    probability=SHARE,
    presence_reason=st.none() | st.builds(Classified, **WHY),
    denis=st.builds(
        DenisFinding,
        zone=st.sampled_from((1, 2, 3, None)),
        left=PER_SIDE,
        right=PER_SIDE,
        subtype=st.sampled_from((1, 2, 3, 4, None)),
        **WHY,
    ),
    bakker=st.builds(BakkerFinding, left=BAKKER, right=BAKKER, corpus=BAKKER, **WHY),
    ffp=st.builds(FfpFinding, value=st.none() | st.sampled_from(FfpType), **WHY),
    coverage=st.builds(
        Coverage,
        sacrum=SHARE,
        by_level=st.dictionaries(st.sampled_from(SacralLevel), SHARE),
        limits=st.lists(WORD, max_size=2).map(tuple),
    ),
    fractures=st.lists(FRACTURE, max_size=2).map(tuple),
    other_findings=st.lists(
        st.builds(OtherFinding, kind=WORD, centroid_lps_mm=POINT, volume_mm3=SIZE), max_size=1
    ).map(tuple),
    warnings=st.just(()),
    sources=st.just(()),
    timings_s=st.dictionaries(WORD, SIZE, max_size=2),
    patient_side_convention=st.just("patient"),
    schema_version=st.just(1),
)
THOROUGH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@cache
def validator() -> Draft202012Validator:
    """Of the published schema."""
    file = Path(__file__).parents[2] / "docs" / "findings.schema.json"
    return Draft202012Validator(json.loads(file.read_text()))


@given(FINDINGS)
@THOROUGH
def test_any_findings_survive_their_json(findings: StudyFindings) -> None:
    """Written as text and read back, nothing is lost or changed."""
    assert from_json(json.loads(json.dumps(to_json(findings), allow_nan=False))) == findings


@given(FINDINGS)
@THOROUGH
def test_any_findings_fit_the_schema(findings: StudyFindings) -> None:
    """Whatever the types allow, the schema allows."""
    validator().validate(to_json(findings))
