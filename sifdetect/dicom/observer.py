"""The head that every structured report begins with: language, observer, procedure reported."""

from __future__ import annotations

from highdicom.sr import (
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
)
from pydicom import Dataset
from pydicom.sr.coding import Code

from sifdetect.dicom import codes
from sifdetect.dicom.provenance import MANUFACTURER, device_uid, serial_number
from sifdetect.findings import Algorithm


def language() -> LanguageOfContentItemAndDescendants:
    """All text is English (PS3.16 TID 1204)."""
    return LanguageOfContentItemAndDescendants(CodedConcept.from_code(codes.ENGLISH))


def observation_context(algorithm: Algorithm) -> ObservationContext:
    """The algorithm as device observer: a device of its own for each set of weights.

    Source: PS3.16 TID 1001, TID 1004; the role is Recording, the one of CID 7445 that fits.
    """
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept.from_code(codes.DEVICE),
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=device_uid(algorithm),
                name=algorithm.name,
                manufacturer_name=MANUFACTURER,
                model_name=f"{algorithm.name} {algorithm.version}",
                serial_number=serial_number(algorithm),
                role_in_procedure=codes.RECORDING,
            ),
        )
    )


def procedure_reported(header: Dataset) -> list[CodedConcept]:
    """The procedure as the source codes it, else no more than that it is one of imaging.

    A site's own code is right here: the context group of TID 1500 row 4 is a baseline (BCID 100).
    """
    for keyword in ("ProcedureCodeSequence", "PerformedProtocolCodeSequence"):
        items = [item for item in header.get(keyword) or [] if _is_code(item)]
        if items:
            return [_concept(item) for item in items]
    return [CodedConcept.from_code(codes.IMAGING_PROCEDURE)]


def _is_code(item: Dataset) -> bool:
    needed = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    return all(item.get(keyword) for keyword in needed)


def _concept(item: Dataset) -> CodedConcept:
    version = item.get("CodingSchemeVersion")
    code = Code(
        str(item.CodeValue),
        str(item.CodingSchemeDesignator),
        str(item.CodeMeaning),
        str(version) if version else None,
    )
    return CodedConcept.from_code(code)
