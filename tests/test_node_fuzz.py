"""Whatever a peer sends: no traceback, no hang, no half-written file. Seeds: tests/corpus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node import pdu
from dicom_node.command import parse_request
from dicom_node.glance import glance
from dicom_node.header import read_header
from dicom_node.pdu import BrokenPdu
from sifdetect.errors import UnreadableInput
from tests import dialogue
from tests.dialogue import CORPUS, EXPLICIT
from tests.node_receiver import Received, receiving

SEEDS = {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))}
EXAMPLES = int(os.environ.get("SIFDETECT_FUZZ_EXAMPLES", "60"))
TROUBLES = ("connection failed", "thread failed")

edits = st.tuples(
    st.sampled_from(("replace", "insert", "delete", "repeat", "cut")),
    st.floats(0, 1),
    st.one_of(
        st.binary(min_size=1, max_size=12),
        st.sampled_from((b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")),
    ),
)


def edited(said: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """``said`` after edits at places given as a share of its length."""
    for kind, share, data in changes:
        at = int(share * len(said))
        rest = said[at:]
        said = (
            said[:at]
            + {
                "replace": data + rest[len(data) :],
                "insert": data + rest,
                "delete": rest[len(data) :],
                "repeat": rest[:40] + rest,
                "cut": b"",
            }[kind]
        )
    return said


streams = st.builds(
    edited, st.sampled_from(list(SEEDS.values())), st.lists(edits, min_size=1, max_size=5)
)


@cache
def a_slice(implicit: bool) -> bytes:
    """One encoded CT slice."""
    return dialogue.slice_bytes(implicit=implicit)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Received]:
    """A receiver that all examples talk to: what one breaks, the next would notice."""
    with receiving(tmp_path_factory.mktemp("fuzz"), timeout_seconds=2.0) as made:
        yield made


def check_after(one: Received, said: bytes) -> None:
    """The connection ends; files are whole; nothing is left behind; nothing stumbled."""
    for kind, _ in dialogue.answers(one.port, said):
        assert kind in tuple(pdu.Kind)
    for path in one.stored():
        assert blake3(path.read_bytes()).hexdigest() == path.name.split(".")[1]
    assert not list(one.spool.folder.rglob("*.part"))
    for trouble in TROUBLES:
        assert one.events(trouble) == []


@pytest.mark.fault
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_corpus_breaks_nothing(one: Received, name: str) -> None:
    """Each conversation that was ever kept, as it is."""
    check_after(one, SEEDS[name])


@pytest.mark.fault
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(said=streams)
def test_no_conversation_breaks_the_acceptor(one: Received, said: bytes) -> None:
    """Edited conversations, over a real connection."""
    check_after(one, said)


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(said=streams)
def test_parsing_ends_in_a_value_or_in_a_refusal(said: bytes) -> None:
    """Association requests, data PDUs and command sets; nothing else is ever raised."""
    for parse in (
        pdu.parse_proposal,
        lambda body: list(pdu.fragments(memoryview(body))),
        parse_request,
    ):
        for body in (said, said[6:], dialogue.c_store("1.2.3")[: len(said) % 90] + said):
            with suppress(BrokenPdu):
                assert parse(body) is not None


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(changes=st.lists(edits, max_size=4), syntax=st.sampled_from((EXPLICIT, "1.2.840.10008.1.2")))
def test_a_glance_never_says_other_than_a_full_parse(
    changes: list[tuple[str, float, bytes]], syntax: str
) -> None:
    """It says the same, or nothing; where a full parse refuses it says nothing."""
    near_the_start = [(kind, share * 0.1, data) for kind, share, data in changes]
    encoded = edited(a_slice(syntax == ImplicitVRLittleEndian), near_the_start)
    seen = glance(encoded[:65536], syntax)
    if seen is not None:
        try:
            assert seen == read_header(encoded, syntax)
        except UnreadableInput as error:
            raise AssertionError(f"a full parse refuses this: {error}") from error
    assert changes or seen is not None


def test_a_glance_passes_over_sequences(tmp_path: Path) -> None:
    """Of defined and undefined length, nested, in both encodings."""
    for implicit in (False, True):
        for undefined in (False, True):
            encoded = dialogue.slice_bytes(implicit=implicit, nested=undefined)
            syntax = "1.2.840.10008.1.2" if implicit else EXPLICIT
            seen = glance(encoded, syntax)
            assert seen is not None
            assert seen == read_header(encoded, syntax)
