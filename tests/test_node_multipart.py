"""Bodies taken apart: the same parts however the pieces fall, and only refusals for the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicom_node.multipart import (
    HEADER_BYTES,
    BrokenMultipart,
    Multipart,
    PartBegins,
    PartData,
    PartEnds,
    content_type,
)
from dicom_node.part10 import NoDicomFile, read_head
from tests.node_http import (
    BEARER,
    BOUNDARY,
    KIND,
    STUDIES,
    Serving,
    body_of,
    is_answered,
    multipart,
    part10,
    serving,
)
from tests.node_world import image, study
from tests.test_node_fuzz import edited, edits

EXAMPLES = int(os.environ.get("SIFDETECT_FUZZ_EXAMPLES", "60"))
TRICKY = [b"", b"\r\n", b"\r\n--", b"\r\n--b", b"\r\n--bo", b"--bound\r\n", b"\r\n--boundary", b"-"]
pieces = st.one_of(st.binary(max_size=40), st.sampled_from(TRICKY))


def parts_of(body: bytes, sizes: list[int], boundary: str = "bound") -> list[bytes]:
    """The parts of a body that comes in pieces of these sizes, over and over."""
    parser = Multipart(boundary)
    found: list[bytes] = []
    is_open = False
    for piece in _cut(body, sizes):
        for event in parser.feed(piece):
            if isinstance(event, PartBegins):
                assert not is_open
                found.append(b"")
                is_open = True
            elif isinstance(event, PartData):
                assert is_open
                found[-1] += event.data
            else:
                assert isinstance(event, PartEnds)
                is_open = False
    parser.finish()
    return found


def _cut(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = turn = 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    parts=st.lists(st.lists(pieces, max_size=5).map(b"".join), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
@example(parts=[b"\r\n--boun", b"\r\n--boundx\r\n"], sizes=[1])
def test_the_parts_come_out_as_they_went_in(parts: list[bytes], sizes: list[int]) -> None:
    """Whatever the pieces; also where a part holds what looks like a boundary and is none."""
    whole = [part for part in parts if b"\r\n--bound\r\n" not in b"\r\n" + part]
    assert parts_of(multipart(whole, boundary="bound"), sizes) == whole


@settings(max_examples=EXAMPLES, deadline=None)
@given(body=st.binary(max_size=400), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=3))
def test_any_bytes_are_parts_or_a_refusal(body: bytes, sizes: list[int]) -> None:
    """And the same one, however they are cut."""
    assert _outcome(body, sizes) == _outcome(body, [len(body) + 1])


def _outcome(body: bytes, sizes: list[int]) -> list[bytes] | None:
    for start in (b"", b"--bound\r\n\r\n"):
        try:
            return parts_of(start + body, sizes)
        except BrokenMultipart:
            continue
    return None


def test_preamble_padding_and_epilogue_are_passed_over() -> None:
    """RFC 2046 5.1.1: text before, blanks after a boundary, text behind the last."""
    body = b"hello\r\n--bound \t\r\nX-A: 1\r\n\r\none\r\n--bound\r\n\r\ntwo\r\n--bound--\r\nbye"
    assert parts_of(body, [3]) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"x" * (HEADER_BYTES + 2000), "the boundary does not come"),
        (b"--bound\r\nX: " + b"y" * 2 * HEADER_BYTES, "the header of a part is too long"),
        (b"--bound\r\nno colon\r\n\r\n", "the header of a part cannot be read"),
        (b"--bound\r\n\r\nhalf", "the body ends before its closing boundary"),
        (b"", "the body ends before its closing boundary"),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes, reason: str) -> None:
    """With a sentence that says what is wrong, after a bounded number of bytes."""
    with pytest.raises(BrokenMultipart) as refused:
        parts_of(body, [1000])
    assert refused.value.reason == reason


@pytest.mark.parametrize("boundary", ["", " ends in a blank ", "é", "x" * 201, "a\r\nb", 'q"'])
def test_a_boundary_that_is_none_is_refused(boundary: str) -> None:
    """RFC 2046 5.1.1: characters of a few kinds, not too many, no blank at the end."""
    with pytest.raises(BrokenMultipart):
        Multipart(boundary)


@settings(max_examples=EXAMPLES, deadline=None)
@given(value=st.text(max_size=80))
def test_any_content_type_is_read_or_empty(value: str) -> None:
    """A header is what a stranger writes."""
    kind, parameters = content_type(value)
    assert isinstance(kind, str)
    assert all(isinstance(text, str) for text in parameters.values())


def test_the_head_of_a_file_is_read_as_it_was_written() -> None:
    """Class, instance, transfer syntax and length; None while bytes are missing."""
    sent = image("1.2.3.4")
    encoded = part10(sent)
    head = read_head(encoded)
    assert head is not None
    assert head.command.sop_class_uid == sent.SOPClassUID
    assert head.command.sop_instance_uid == sent.SOPInstanceUID
    assert head.transfer_syntax == sent.file_meta.TransferSyntaxUID
    assert encoded[head.length :][:4] == b"\x08\0\x16\0"
    assert [read_head(encoded[:length]) for length in range(0, head.length, 7)] == [None] * len(
        range(0, head.length, 7)
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(changes=st.lists(edits, min_size=1, max_size=4))
def test_a_broken_head_is_read_or_refused(changes: list[tuple[str, float, bytes]]) -> None:
    """Nothing else is ever raised."""
    with suppress(NoDicomFile):
        head = read_head(edited(part10(image("1.2.3.4"))[:420], changes))
        assert head is None or head.length <= 420 + 160


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A port that all examples talk to: what one breaks, the next would notice."""
    with serving(tmp_path_factory.mktemp("fuzz"), timeout_seconds=1.0) as made:
        yield made


@pytest.mark.fault
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(edits, min_size=1, max_size=5), in_head=st.booleans())
def test_no_request_breaks_the_port(
    one: Serving, changes: list[tuple[str, float, bytes]], in_head: bool
) -> None:
    """Edited requests over a real connection: an answer of a known kind, nothing half-written."""
    body = body_of(study(2))
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {KIND}\r\n"
    head += f"Authorization: {BEARER['Authorization']}\r\n"
    if in_head:
        head += f"Content-Length: {len(body)}\r\n\r\n"
        said = edited(head.encode(), changes) + body
    else:
        body = edited(body, changes)
        said = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    heard = one.say(said)
    assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 500" not in heard
    assert is_answered(one)
    one.settle()
    assert one.unfinished() == []
    assert one.events("http request failed") == []
    assert BOUNDARY not in one.log.getvalue()
