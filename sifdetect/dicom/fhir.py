"""The findings as a FHIR R4 DiagnosticReport, with what it rests on contained in it.

Plain JSON values for systems that read no DICOM. It is preliminary like every report; who the
patient is stands there as the source says it, and nothing is looked up or invented.
Source: HL7 FHIR R4 (4.0.1), DiagnosticReport and Observation; PS3.20 for study identifiers.
"""

from __future__ import annotations

import re
from typing import Any

from pydicom import Dataset
from pydicom.sr.coding import Code

from sifdetect.anatomy import DenisZone
from sifdetect.dicom import codes, reasons, sentences, words
from sifdetect.dicom.evaluations import measured
from sifdetect.dicom.provenance import MANUFACTURER, STATEMENT, header_of, serial_number
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.seg import tracking_uid
from sifdetect.dicom.uids import findings_parts, result_uid
from sifdetect.findings import Algorithm, StudyFindings

_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    codes.SCHEME: f"urn:oid:{codes.SCHEME_UID}",
}
_UCUM = "http://unitsofmeasure.org"
_RADIOLOGY = {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}
_DEVICE = {"reference": "#algorithm"}


def diagnostic_report(findings: StudyFindings, study: DicomStudy) -> dict[str, Any]:
    """The report as JSON values: one contained Observation for the study and one a finding.

    Args:
        findings: of the study, with or without fractures.
        study: the source, with at least one usable series.
    """
    header = header_of(study.series[0].datasets[0])
    subject = _subject(header)
    observations = [_presence(findings), *_fractures(findings)]
    for one in observations:
        one |= {"status": "preliminary", "subject": subject, "device": _DEVICE}
    uid = result_uid("fhir", *findings_parts(findings))
    report = {
        "resourceType": "DiagnosticReport",
        "contained": [_device(findings.algorithm), *observations],
        "identifier": [_urn(uid)],
        "status": "preliminary",
        "category": [{"coding": [_RADIOLOGY]}],
        "code": _concept(codes.REPORT_TITLE),
        "subject": subject,
        "imagingStudy": [{"type": "ImagingStudy", "identifier": _urn(findings.study_instance_uid)}],
        "result": [{"reference": f"#{one['id']}"} for one in observations],
        "conclusion": " ".join(
            [sentences.headline(findings), *sentences.recommendations(findings), STATEMENT]
        ),
    }
    date = str(header.get("StudyDate") or "")
    if re.fullmatch(r"\d{8}", date):
        report["effectiveDateTime"] = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    accession = str(header.get("AccessionNumber") or "")
    if accession:
        report["basedOn"] = [{"type": "ServiceRequest", "identifier": {"value": accession}}]
    return report


def _subject(header: Dataset) -> dict[str, Any]:
    """Patient by identifier and name as the source spells them; absent where it names nobody."""
    subject: dict[str, Any] = {"type": "Patient"}
    if header.get("PatientID"):
        subject["identifier"] = {"value": str(header.PatientID)}
    name = str(header.get("PatientName") or "")
    if name:
        subject["display"] = name
    return subject


def _device(algorithm: Algorithm) -> dict[str, Any]:
    versions: list[dict[str, Any]] = [{"value": algorithm.version}]
    versions += [
        {"type": {"text": f"{name}, SHA-256 of the weights"}, "value": checksum}
        for name, checksum in sorted(algorithm.bundles.items())
    ]
    return {
        "resourceType": "Device",
        "id": "algorithm",
        "manufacturer": MANUFACTURER,
        "serialNumber": serial_number(algorithm),
        "deviceName": [{"name": algorithm.name, "type": "manufacturer-name"}],
        "version": versions,
    }


def _presence(findings: StudyFindings) -> dict[str, Any]:
    """Presence in the whole study, with the classes as components."""
    components = [_quantity(codes.CERTAINTY, 100 * findings.probability, codes.PERCENT)]
    components += [
        {
            "code": {"text": scheme},
            "valueString": value,
            "interpretation": [{"text": f"rule: {why.rule}"}] if why.rule else None,
        }
        for scheme, value, why in reasons.classes(findings)
    ]
    return {
        "resourceType": "Observation",
        "id": "presence",
        "code": _concept(codes.private("SIF-LIKE")),
        "valueCodeableConcept": _concept(codes.PRESENCE[findings.presence]),
        "component": [{k: v for k, v in one.items() if v is not None} for one in components],
        "note": [{"text": text} for text in sentences.coverage(findings)],
    }


def _fractures(findings: StudyFindings) -> list[dict[str, Any]]:
    made = []
    for number, fracture in enumerate(findings.fractures, start=1):
        site = _concept(codes.SACRUM)
        site["coding"].append(_coding(codes.LATERALITY[fracture.side]))
        site["text"] = words.site(fracture, findings)
        zone = words.zone_of(fracture, findings)
        components = [_quantity(*row) for row in measured(fracture)]
        if zone:
            value = _concept(codes.DENIS_ZONE[DenisZone(zone)])
            components.append({"code": {"text": "Denis zone"}, "valueCodeableConcept": value})
        made.append(
            {
                "resourceType": "Observation",
                "id": f"finding-{number}",
                "identifier": [_urn(tracking_uid(findings, number))],
                "code": _concept(codes.private("SIF-LIKE")),
                "valueString": sentences.described(number, fracture, findings),
                "bodySite": site,
                "component": components,
            }
        )
    return made


def _quantity(name: Code, value: float, unit: Code) -> dict[str, Any]:
    quantity = {"value": round(value, 1), "unit": unit.value, "system": _UCUM, "code": unit.value}
    return {"code": _concept(name), "valueQuantity": quantity}


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _coding(code: Code) -> dict[str, str]:
    system = _SYSTEMS[code.scheme_designator]
    return {"system": system, "code": code.value, "display": code.meaning}


def _urn(uid: str) -> dict[str, str]:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}
