"""Findings JSON: what is written is what the published schema says, and can be read back."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from sifdetect.anatomy import Modality, MrWeighting, Plane, SacralLevel, Side
from sifdetect.changes import Change, Registration
from sifdetect.classify import Context, classify
from sifdetect.findings import (
    SCHEMA_VERSION,
    Algorithm,
    BakkerType,
    Basis,
    FfpType,
    Morphology,
    Presence,
    SeriesEvidence,
    SourceSeries,
    StudyFindings,
    from_json,
    to_json,
)
from sifdetect.measure import measure
from tests.changes import COMPARISON
from tests.phantoms import FULL, Phantom

SCHEMA_FILE = Path(__file__).parents[1] / "docs" / "findings.schema.json"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The published schema."""
    document: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return document


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of the schema, which is itself valid."""
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def findings() -> StudyFindings:
    """A bilateral fracture with a transverse limb, as the pipeline would state it."""
    phantom = Phantom().edema(Side.RIGHT, 0.1, 2.9).line(Side.LEFT, 0.2, 2.6)
    segmentation = phantom.across(1.5, 38, 38).segmentation()
    measured = measure(segmentation, fluid_sensitive=True, modality=Modality.MR)
    stated = classify(measured, Context(coverage=FULL | {SacralLevel.S5: 0.5}))
    source = SourceSeries(
        series_instance_uid="1.2.3",
        modality=Modality.MR,
        weighting=MrWeighting.STIR,
        plane=Plane.CORONAL,
        used=True,
        reason="",
    )
    return StudyFindings(
        study_instance_uid="1.2",
        presence=stated.presence,
        presence_reason=stated.presence_reason,
        probability=stated.probability,
        denis=stated.denis,
        morphology=stated.morphology,
        bakker=stated.bakker,
        ffp=stated.ffp,
        coverage=stated.coverage,
        algorithm=Algorithm(name="sifdetect", version="0", bundles={"region_mr": "00ff"}),
        fractures=measured.fractures,
        warnings=stated.warnings,
        sources=(source,),
        timings_s={"measure": 0.1},
    )


def test_what_the_rules_state_fits_the_schema(
    findings: StudyFindings, validator: Draft202012Validator
) -> None:
    """Through JSON text, so that numpy numbers and enums would be caught."""
    validator.validate(json.loads(json.dumps(to_json(findings), allow_nan=False)))


def test_findings_come_back_as_they_were(findings: StudyFindings) -> None:
    """Enums, levels as keys and nested tuples included."""
    assert from_json(json.loads(json.dumps(to_json(findings)))) == findings


def test_every_field_is_described(findings: StudyFindings, schema: dict[str, Any]) -> None:
    """No key is written that the schema does not name."""
    document = to_json(findings)
    assert set(document) == set(schema["properties"])
    for part in ("denis", "morphology", "bakker", "ffp", "coverage", "algorithm"):
        assert set(document[part]) == set(schema["$defs"][part]["properties"])
    assert set(document["fractures"][0]) == set(schema["$defs"]["fracture"]["properties"])
    assert set(document["sources"][0]) == set(schema["$defs"]["source"]["properties"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("side", Side),
        ("basis", Basis),
        ("bakker_type", BakkerType),
        ("ffp_type", FfpType),
        ("modality", Modality),
        ("weighting", MrWeighting),
        ("plane", Plane),
    ],
)
def test_values_of_the_schema_are_those_of_the_code(
    schema: dict[str, Any], name: str, kind: type[Enum]
) -> None:
    """A value added in one place is missed in the other."""
    assert set(schema["$defs"][name]["enum"]) == {member.value for member in kind}


def test_levels_presence_and_morphology_of_the_schema_are_those_of_the_code(
    schema: dict[str, Any],
) -> None:
    """These stand in other places of the schema."""
    assert schema["properties"]["presence"]["enum"] == [p.value for p in Presence]
    morphology = schema["$defs"]["morphology"]["properties"]["value"]["enum"]
    assert set(morphology) == {m.value for m in Morphology}
    assert schema["$defs"]["level"]["enum"] == [level.name for level in SacralLevel]
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION


@pytest.mark.parametrize(
    "wrong",
    [
        {"presence": "maybe"},
        {"probability": 1.2},
        {"patient_side_convention": "picture"},
        {"schema_version": 2},
        {"fractures": [{"id": "F1"}]},
        {"coverage": {"sacrum": 1.0, "by_level": {"L5": 1.0}, "limits": []}},
    ],
)
def test_the_schema_refuses_what_is_wrong(
    findings: StudyFindings, validator: Draft202012Validator, wrong: dict[str, Any]
) -> None:
    """An unknown word, a share above 1, the picture's side, a missing measure, a lumbar level."""
    with pytest.raises(ValidationError):
        validator.validate(to_json(findings) | wrong)


def test_a_comparison_and_the_evidence_of_two_modalities_fit_the_schema(
    findings: StudyFindings, schema: dict[str, Any], validator: Draft202012Validator
) -> None:
    """Every key is described, and all of it comes back as it was."""
    compared = replace(
        findings, comparison=COMPARISON, evidence=(evidence_of(findings), evidence_of(findings))
    )
    document = json.loads(json.dumps(to_json(compared), allow_nan=False))
    validator.validate(document)
    assert from_json(document) == compared
    told = document["comparison"]
    for name, part in (
        ("comparison", told),
        ("registration", told["registration"]),
        ("finding_change", told["changes"][0]),
        ("series_evidence", document["evidence"][0]),
    ):
        assert set(part) == set(schema["$defs"][name]["properties"])
    assert set(schema["$defs"]["change"]["enum"]) == {change.value for change in Change}


def evidence_of(findings: StudyFindings) -> SeriesEvidence:
    """What one modality would say by itself."""
    return SeriesEvidence(
        modality=Modality.CT,
        series=("1.2.3",),
        fluid_sensitive=False,
        presence=findings.presence,
        probability=findings.probability,
        denis=findings.denis,
        bakker=findings.bakker,
        fractures=findings.fractures,
        registration=Registration(method="rigid", residual_mm=4.2),
    )


def test_keys_of_a_newer_writer_are_ignored(findings: StudyFindings) -> None:
    """Additions do not break readers."""
    document = to_json(findings)
    document["new"] = 1
    document["denis"]["new"] = 1
    assert from_json(document) == findings


def test_another_schema_version_is_refused(findings: StudyFindings) -> None:
    """The error names the version that was found."""
    with pytest.raises(ValueError, match="schema_version 7"):
        from_json(to_json(findings) | {"schema_version": 7})
