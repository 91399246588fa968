"""Codes: standard where there is one, private only with what was looked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code
from pydicom.uid import UID

from sifdetect.anatomy import DenisZone, SacralLevel, Side
from sifdetect.dicom import codes
from sifdetect.findings import BakkerType, FfpType, Morphology, Presence

ELSEWHERE = {
    "702561005",  # public SNOMED CT code lists
    "C0034375",  # PS3.16 TID 1500, row 12
    "en",  # RFC 5646
}
"""Standard codes that pydicom's dictionary does not hold, with where they were found."""


def _standard() -> list[Code]:
    single = [value for value in vars(codes).values() if isinstance(value, Code)]
    return [*single, *codes.LATERALITY.values(), *codes.PRESENCE.values()]


@pytest.mark.parametrize("code", _standard(), ids=lambda code: code.meaning)
def test_a_standard_code_stands_in_the_dictionary_under_its_meaning(code: Code) -> None:
    """A mistyped code would name something else in every report."""
    if code.value in ELSEWHERE:
        return
    entries: Any = concepts[code.scheme_designator]
    meanings = [entry[code.value][0].lower() for entry in entries.values() if code.value in entry]
    assert code.meaning.lower() in meanings


def test_a_private_code_names_the_standard_codes_that_were_looked_for() -> None:
    """Private codes are the last resort, and each says why."""
    for item in codes.PRIVATE.values():
        assert len(item.looked_for.split()) >= 5, item
        assert item.code.scheme_designator == codes.SCHEME


def test_private_codes_differ_in_value_and_in_meaning() -> None:
    """Two concepts under one meaning could not be told apart by a reader."""
    meanings = [item.meaning for item in codes.PRIVATE.values()]
    assert len(meanings) == len(set(meanings))


def test_a_private_code_longer_than_code_value_is_refused() -> None:
    """Code Value is a short string (SH): 16 characters."""
    with pytest.raises(ValueError, match="16"):
        codes.PrivateCode("A-VERY-LONG-VALUE", "meaning", "looked for")


def test_every_class_and_every_level_has_a_code() -> None:
    """A class that cannot be coded would fail in the middle of a report."""
    assert set(codes.MORPHOLOGY) == set(Morphology)
    assert set(codes.BAKKER) == set(BakkerType)
    assert set(codes.FFP) == set(FfpType)
    assert set(codes.PRESENCE) == set(Presence)
    assert set(codes.LATERALITY) == set(Side)
    assert set(codes.DENIS_ZONE) == set(DenisZone)
    for level in SacralLevel:
        assert codes.private(f"FORAMEN-{level.name}").meaning.endswith(f"{level.name} foramen")


def test_the_schemes_that_are_used_are_declared_and_no_others() -> None:
    """A reader learns from the object itself what 99SIFDETECT is."""
    dataset = _with_code(codes.private("STEP"))
    codes.declare_schemes(dataset)
    (declared,) = dataset.CodingSchemeIdentificationSequence
    assert declared.CodingSchemeDesignator == "99SIFDETECT"
    assert UID(declared.CodingSchemeUID).is_valid
    assert declared.CodingSchemeResponsibleOrganization == "sifdetect project"


def test_an_object_with_standard_codes_alone_declares_nothing() -> None:
    """SCT and DCM are known to every reader."""
    dataset = _with_code(codes.SACRUM)
    codes.declare_schemes(dataset)
    assert "CodingSchemeIdentificationSequence" not in dataset


def _with_code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[:3]
    dataset = Dataset()
    dataset.ConceptNameCodeSequence = [item]
    return dataset
