"""What is let in: UIDs, mismatches, the node's own results, callers, room on the disk."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_node.glance import glance
from dicom_node.header import read_header
from dicom_node.intake import (
    CANNOT_UNDERSTAND,
    MISMATCH,
    RESULT_MANUFACTURER,
    Command,
    Header,
    Kind,
    is_room_left,
    is_valid_uid,
    kind_of,
    may_call,
    name_of,
    refusal,
)
from sifdetect.dicom.provenance import MANUFACTURER
from sifdetect.errors import UnreadableInput
from tests import node_world as world

CT, MR_ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4.1"
SEG, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.7"
HOSTILE = [
    "",
    "../../etc/passwd",
    "/etc/passwd",
    "1.2.\0",
    "1" * 65,
    "1.2.03",
    "1..2",
    ".1",
    "1.a",
    "1.2٣",
]


def header(**changes: Any) -> Header:
    """A CT image's header."""
    plain = Header(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3",
        study_instance_uid="1.2",
        series_instance_uid="1.2.1",
    )
    return replace(plain, **changes)


@pytest.mark.parametrize("uid", HOSTILE)
def test_an_identifier_that_is_no_uid_is_refused(uid: str) -> None:
    """Paths, control characters, wrong lengths and wrong numbers are not understood."""
    command = Command(sop_class_uid=CT, sop_instance_uid="1.2.3")
    for attribute in ("study_instance_uid", "series_instance_uid", "sop_instance_uid"):
        broken = refusal(header(**{attribute: uid}), command)
        assert broken is not None
        assert broken.status == CANNOT_UNDERSTAND


def test_a_data_set_that_is_not_what_the_request_says_is_refused() -> None:
    """Command UID = data set UID, or the sender's bookkeeping would be wrong."""
    assert refusal(header(), Command(sop_class_uid=CT, sop_instance_uid="1.2.3")) is None
    for command in (
        Command(sop_class_uid=CT, sop_instance_uid="1.2.4"),
        Command(sop_class_uid=SEG, sop_instance_uid="1.2.3"),
    ):
        broken = refusal(header(), command)
        assert broken is not None
        assert broken.status == MISMATCH


@given(st.text())
def test_a_file_name_holds_nothing_of_what_the_peer_sent(identifier: str) -> None:
    """Whatever the identifier is, its name is 64 hexadecimal digits."""
    assert re.fullmatch(r"[0-9a-f]{64}", name_of(identifier))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=6))
def test_uids_are_recognised(parts: list[int]) -> None:
    """Numbers with dots between them are UIDs, as long as there are no more than 64 characters."""
    uid = ".".join(map(str, parts))
    assert is_valid_uid(uid) == (len(uid) <= 64)


def test_results_that_come_back_are_told_from_images() -> None:
    """By Manufacturer or Contributing Equipment; an image is input whoever made it."""
    assert RESULT_MANUFACTURER == MANUFACTURER
    own = header(sop_class_uid=SEG, manufacturer=MANUFACTURER)
    processed = header(sop_class_uid=SEG, equipment=("X", MANUFACTURER))
    assert kind_of(own) is kind_of(processed) is Kind.RETURNED
    assert kind_of(header(sop_class_uid=SECONDARY_CAPTURE)) is Kind.OTHER
    assert kind_of(header(manufacturer=MANUFACTURER)) is Kind.IMAGE
    assert kind_of(header(sop_class_uid=MR_ENHANCED)) is Kind.IMAGE


def test_callers_are_let_in_by_title_and_address() -> None:
    """An entry without an address lets a title in from anywhere."""
    assert may_call("ANY", "10.0.0.9", ())
    allowed = ("CT1", "PACS@10.0.0.5")
    assert may_call("CT1", "10.0.0.9", allowed)
    assert may_call("PACS", "10.0.0.5", allowed)
    assert not may_call("PACS", "10.0.0.6", allowed)
    assert not may_call("MR1", "10.0.0.5", allowed)


def test_the_limit_of_free_space_counts_what_comes_in() -> None:
    """An instance that would take the disk below its limit is too much."""
    megabyte = 1024 * 1024
    assert is_room_left(11 * megabyte, megabyte, 10)
    assert not is_room_left(11 * megabyte, megabyte + 1, 10)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
    ],
)
def test_a_header_is_read_in_every_encoding(syntax: UID) -> None:
    """The same attributes come out, and nothing behind them is touched."""
    made = world.image("1.2.3", 7, Manufacturer="Maker")
    made.ContributingEquipmentSequence = [Dataset()]
    made.ContributingEquipmentSequence[0].Manufacturer = MANUFACTURER
    found = read_header(encoded(made, syntax), syntax)
    assert (found.study_instance_uid, found.sop_instance_uid) == ("1.2.3", "1.2.3.1.7")
    assert (found.manufacturer, found.equipment) == ("Maker", (MANUFACTURER,))


def test_a_header_is_read_without_the_pixels_behind_it() -> None:
    """Pixels that are cut off do not keep an instance out: that is for the analysis to say."""
    made = world.image("1.2.3")
    whole = encoded(made, ExplicitVRLittleEndian)
    assert read_header(whole[:-90], ExplicitVRLittleEndian) == read_header(
        whole, ExplicitVRLittleEndian
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_text_without_end_is_cut_short(syntax: UID) -> None:
    """What goes into memory and the audit log is bounded, and no long UID becomes a valid one."""
    long = world.image("1.2.3", PatientID="7" * 1000, SeriesInstanceUID="1." + "2" * 1000)
    found = read_header(encoded(long, syntax), syntax)
    assert max(map(len, (found.patient_id, found.series_instance_uid))) < 300
    assert not is_valid_uid(found.series_instance_uid)
    assert glance(encoded(world.image("1.2.3", PatientID="7" * 1000), syntax), syntax) is None


def test_a_header_that_is_none_is_refused() -> None:
    """Noise, an HTML page, a truncated header: empty attributes or one clear sentence."""
    for noise in (b"\xff" * 300, b"<html></html>" * 20, b"\x08\x00\x05"):
        try:
            found = read_header(noise, ExplicitVRLittleEndian)
        except UnreadableInput:
            continue
        assert not is_valid_uid(found.study_instance_uid)


def test_a_header_nested_without_end_is_refused() -> None:
    """3000 sequences within each other exhaust no stack."""
    opening = struct.pack("<HH2sHI", 0x0018, 0xA001, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(UnreadableInput):
        read_header((opening + item) * 3000, ExplicitVRLittleEndian)


def test_a_deflate_bomb_does_not_go_off() -> None:
    """Only the beginning of a deflated data set is inflated."""
    bomb = encoded(world.image("1.2.3"), ExplicitVRLittleEndian)
    bomb += struct.pack("<HH2sHI", 0x7FE1, 0x0010, b"OB", 0, 1 << 28) + bytes(1 << 28)
    found = read_header(deflated(bomb), DeflatedExplicitVRLittleEndian)
    assert found.study_instance_uid == "1.2.3"


def encoded(dataset: Dataset, syntax: UID) -> bytes:
    """The data set as it goes over the network."""
    made = Dataset()
    made.update({element.tag: element for element in dataset})
    target = DicomBytesIO()
    target.is_implicit_VR = syntax.is_implicit_VR
    target.is_little_endian = syntax.is_little_endian
    write_dataset(target, made)
    plain = target.getvalue()
    return deflated(plain) if syntax.is_deflated else plain


def deflated(plain: bytes) -> bytes:
    """The bytes as the deflated transfer syntax has them (PS3.5 A.5)."""
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    target = BytesIO()
    target.write(engine.compress(plain))
    target.write(engine.flush())
    return target.getvalue()
