"""Bad inputs, sent for real: the receiver keeps its word, and the reader says what is wrong."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.durable import PARTIAL
from sifdetect.dicom.read import DicomStudy, read_studies
from sifdetect.errors import UnreadableInput
from tests import dialogue
from tests import node_world as world
from tests.bad_inputs import BROKEN, SOUND, Study, stack
from tests.node_receiver import MISUNDERSTOOD, Received, receiving

pytestmark = [
    pytest.mark.fault,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about what is bad on purpose
]
_MORE_KB = 400_000


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Received]:
    """A receiver that meets them one after another."""
    with receiving(tmp_path_factory.mktemp("bad"), timeout_seconds=120.0) as made:
        yield made


@pytest.mark.parametrize("name", sorted(SOUND))
def test_what_is_unusual_and_whole_is_received_and_read(one: Received, name: str) -> None:
    """Each instance is acknowledged, and one series comes of them."""
    study = SOUND[name]()
    found = read_of(one, study)
    assert len(found.series) == 1
    assert found.series[0].volume.values.shape[1:] == (32, 40)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_is_broken_is_named_and_costs_nothing_else(one: Received, name: str) -> None:
    """It is kept as it came; the reader uses it in part or says why not, in bounded memory."""
    study = BROKEN[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read_of(one, study)
    assert found.series or found.refused or found.warnings
    assert all(series.reason for series in found.refused)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MORE_KB
    assert len(read_of(one, stack()).series) == 1


def read_of(one: Received, study: Study) -> DicomStudy:
    """A study once it was sent and read from the spool."""
    assert set(world.push(study, one.port)) == {0}
    uid = str(study[0].StudyInstanceUID)
    folder = one.spool.study(uid).path / "images"
    (found,) = [made for made in read_studies([folder]) if made.study_instance_uid == uid]
    return found


def _read(folder: Path) -> list[DicomStudy]:
    """The studies in a folder; none where the reader says that nothing there can be read."""
    try:
        return read_studies([folder])
    except UnreadableInput:
        return []


def _element(group: int, element: int, kind: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, kind, len(value)) + value


def _nested(depth: int) -> bytes:
    opened = struct.pack("<HH2s2xL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    return (opened + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)) * depth


HEADERS = {
    "empty": b"",
    "truncated": dialogue.slice_bytes("1.2.7")[:60],
    "element-of-4-gb": struct.pack("<HH2s2xL", 0x0008, 0x0005, b"OB", 0xFFFFFFF0) + bytes(400),
    "nested-3000-deep": _nested(3000),
    "uid-of-70-characters": dialogue.slice_bytes("1.2.7").replace(
        _element(0x0020, 0x000D, b"UI", b"1.2.7\0"),
        _element(0x0020, 0x000D, b"UI", b"1." * 34 + b"11"),
    ),
    "uid-with-nul": dialogue.slice_bytes("1.2.7").replace(
        _element(0x0020, 0x000D, b"UI", b"1.2.7\0"), _element(0x0020, 0x000D, b"UI", b"1.\0.70")
    ),
    "uid-that-climbs": dialogue.slice_bytes("1.2.7").replace(
        _element(0x0020, 0x000D, b"UI", b"1.2.7\0"), _element(0x0020, 0x000D, b"UI", b"../../")
    ),
    "uid-absolute": dialogue.slice_bytes("1.2.7").replace(
        _element(0x0020, 0x000D, b"UI", b"1.2.7\0"), _element(0x0020, 0x000D, b"UI", b"/etc/x")
    ),
    "uid-empty": dialogue.slice_bytes("1.2.7").replace(
        _element(0x0020, 0x000D, b"UI", b"1.2.7\0"), _element(0x0020, 0x000D, b"UI", b"")
    ),
    "noise": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_header_that_cannot_be_filed_is_refused(one: Received, name: str) -> None:
    """0xC000 before anything is kept; the association goes on."""
    before = one.stored()
    said = dialogue.request() + dialogue.pdu(4, dialogue.pdv(dialogue.c_store("1.2.7.1.1"), 3))
    body = HEADERS[name]
    for start in range(0, max(len(body), 1), 60_000):
        piece = body[start : start + 60_000]
        last = 2 if start + 60_000 >= len(body) else 0
        said += dialogue.pdu(4, dialogue.pdv(piece, last))
    answered = dialogue.answers(one.port, said + dialogue.RELEASE)
    assert [kind for kind, _ in answered] == [dialogue.ACCEPTED, dialogue.DATA, dialogue.RELEASED]
    assert dialogue.status_in(answered[1][1]) == MISUNDERSTOOD
    assert one.stored() == before
    assert not [path for path in one.spool.folder.rglob("*") if path.name.endswith(PARTIAL)]


def test_nesting_behind_the_header_is_kept_and_named_by_the_reader(one: Received) -> None:
    """The receiver need not look so far; the reader gives the file up, and not itself."""
    plain = dialogue.slice_bytes("1.2.8")
    start = plain.index(b"\xe0\x7f\x10\0OW")
    inside = _nested(3000).replace(b"\x08\0\x40\x11SQ", b"\x40\0\x75\x02SQ")
    body = plain[:start] + inside + plain[start:]
    said = dialogue.request() + dialogue.pdu(4, dialogue.pdv(dialogue.c_store("1.2.8.1.1"), 3))
    said += dialogue.pdu(4, dialogue.pdv(body, 2)) + dialogue.RELEASE
    answered = dialogue.answers(one.port, said)
    assert dialogue.status_in(answered[1][1]) == 0
    folder = one.spool.study("1.2.8").path / "images"
    assert sum(len(found.series) for found in _read(folder)) == 0
    assert len(read_of(one, stack()).series) == 1


@pytest.mark.parametrize("megabytes", [70, 500])
def test_a_bomb_does_not_go_off_in_the_reader(one: Received, megabytes: int) -> None:
    """So many zeros, deflated, behind the pixels: refused in one sentence, in bounded memory."""
    (made,) = world.study(1)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert world.push([made], one.port) == [0]
    (path,) = one.spool.study(str(made.StudyInstanceUID)).path.glob("images/*.dcm")
    bomb = _bomb(path.read_bytes(), megabytes)
    target = path.with_name("bomb.dcm")
    target.write_bytes(bomb)
    assert len(bomb) < megabytes << 13
    with pytest.raises(UnreadableInput, match=r"grows beyond \d+ MB, more than an image has"):
        read_studies([target])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MORE_KB // 4


def _bomb(packed: bytes, megabytes: int) -> bytes:
    """The file with so many zeros behind its data set, deflated."""
    (length,) = struct.unpack("<I", packed[140:144])
    start = 144 + length
    data = zlib.decompress(packed[start:], -zlib.MAX_WBITS)
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = struct.pack("<HH2s2xL", 0x7FE1, 0x1010, b"OB", megabytes << 20)
    bomb = squeezer.compress(data + header)
    for _ in range(megabytes):
        bomb += squeezer.compress(bytes(1 << 20))
    return packed[:start] + bomb + squeezer.flush()


def test_files_without_a_preamble_are_read(one: Received, tmp_path: Path) -> None:
    """As some archives export them."""
    study = stack()
    assert set(world.push(study, one.port)) == {0}
    paths = one.spool.study(str(study[0].StudyInstanceUID)).path.glob("images/*.dcm")
    for number, path in enumerate(paths):
        (tmp_path / f"{number}.dcm").write_bytes(path.read_bytes()[132:])
    (found,) = read_studies([tmp_path])
    assert len(found.series) == 1
