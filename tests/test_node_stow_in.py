"""STOW-RS in: the answers that PS3.18 10.5 asks for, and the same rules as for C-STORE."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage

from dicom_node.intake import Kind
from dicom_node.spool import Stored
from dicom_node.upload import Upload
from tests.node_http import BEARER, KIND, STUDIES, Serving, body_of, multipart, part10, serving
from tests.node_receiver import receiving
from tests.node_world import image, push, study

STORED, FAILED, OTHERS = "00081199", "00081198", "0008119A"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A port that all tests talk to, with a limit of 1 MB for an instance and 3 MB for a body."""
    folder = tmp_path_factory.mktemp("stow")
    with serving(folder, max_instance_mb=1, max_request_mb=3, timeout_seconds=1.0) as made:
        yield made


def reasons(items: list[dict[str, dict[str, list[int]]]]) -> list[int]:
    """The failure reasons of items."""
    return [item["00081197"]["Value"][0] for item in items]


def test_a_study_is_stored_and_each_instance_named(one: Serving) -> None:
    """200, in the DICOM JSON model, with class and instance; the files lie in the spool."""
    sent = study(3)
    answer = one.store(body_of(sent))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/dicom+json")
    named = [item["00081155"]["Value"][0] for item in answer.items(STORED)]
    assert named == [str(one.SOPInstanceUID) for one in sent]
    assert answer.items(STORED)[0]["00081150"]["Value"] == [CTImageStorage]
    assert not answer.items(FAILED)
    assert len(one.spool.study(str(sent[0].StudyInstanceUID)).names(Kind.IMAGE)) == 3
    assert Dataset.from_json(answer.document).ReferencedSOPSequence[0].RetrieveURL in ("", None)


def test_the_same_instance_by_cstore_is_the_same_file(one: Serving, tmp_path: Path) -> None:
    """Whichever way it comes it has the same name and the same bytes, and counts once."""
    sent = study(2)
    with receiving(tmp_path) as by_dimse:
        assert push(sent, by_dimse.port) == [0, 0]
        theirs = {path.name: path.read_bytes() for path in by_dimse.stored()}
    assert one.store(body_of(sent)).status == 200
    ours = {path.name: path.read_bytes() for path in one.stored() if path.name in theirs}
    assert ours == theirs
    assert one.store(body_of(sent)).status == 200
    assert [arrival.stored for arrival in one.arrivals[-2:]] == [Stored.SAME, Stored.SAME]


def test_success_is_answered_for_what_a_power_cut_cannot_take(one: Serving, tmp_path: Path) -> None:
    """When the answer is there the file has its final name, whole, and nothing else is left."""
    sent = study(1)
    files = {path.name for path in one.stored()}
    assert one.store(body_of(sent)).status == 200
    (fresh,) = [path for path in one.stored() if path.name not in files]
    assert fresh.read_bytes().endswith(part10(sent[0])[-2000:])
    assert one.unfinished() == []


def test_some_stored_and_some_not_is_202(one: Serving) -> None:
    """Each instance has its own word; the good ones are kept."""
    good, bad = study(1)[0], study(1)[0]
    bad.SeriesInstanceUID = "no uid"
    answer = one.store(multipart([part10(good), part10(bad), b"no DICOM at all" * 40]))
    assert answer.status == 202
    assert len(answer.items(STORED)) == 1
    assert reasons(answer.items(FAILED)) == [0xC000]
    assert reasons(answer.items(OTHERS)) == [0xC000]


def test_none_stored_is_409(one: Serving) -> None:
    """A class that is no storage class, a transfer syntax nobody knows, a truncated file."""
    unknown, strange = study(1)[0], study(1)[0]
    unknown.SOPClassUID = unknown.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.31")
    encoded = part10(strange).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0")
    answer = one.store(multipart([part10(unknown), encoded, part10(study(1)[0])[:200]]))
    assert answer.status == 409
    assert reasons(answer.items(FAILED)) == [0x0122, 0xC122]
    assert reasons(answer.items(OTHERS)) == [0xC000]


def test_the_head_and_the_data_set_must_name_the_same_object(one: Serving) -> None:
    """As for C-STORE: 0xA900."""
    sent = study(1)[0]
    encoded = part10(sent)
    assert encoded.count(MRImageStorage.encode()) == 0
    head, rest = encoded[:400], encoded[400:]
    swapped = head.replace(CTImageStorage.encode(), MRImageStorage.encode(), 1) + rest
    answer = one.store(multipart([swapped]))
    assert (answer.status, reasons(answer.items(FAILED))) == (409, [0xA900])


def test_a_study_in_the_address_is_the_only_one_that_is_taken(one: Serving) -> None:
    """The other's instances fail; an address that is no UID is refused at once."""
    wanted, other = study(1)[0], study(1)[0]
    body = body_of([wanted, other])
    answer = one.store(body, f"{STUDIES}/{wanted.StudyInstanceUID}")
    assert (answer.status, reasons(answer.items(FAILED))) == (202, [0xA900])
    assert not one.spool.study(str(other.StudyInstanceUID)).names(Kind.IMAGE)
    assert one.store(body, f"{STUDIES}/1.02.3").status == 400
    assert one.store(body, f"{STUDIES}/..%2f..%2fetc").status in (400, 404)


def test_our_own_results_are_laid_aside(one: Serving) -> None:
    """They are stored, so that their sender is content, and never become input."""
    result = image("1.2.826.77", Manufacturer="sifdetect project")
    result.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    assert one.store(body_of([result])).status == 200
    held = one.spool.study("1.2.826.77")
    assert (len(held.names(Kind.RETURNED)), held.names(Kind.IMAGE)) == (1, [])


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/dicom", 415),
        ('multipart/related; type="application/dicom+json"; boundary=b', 415),
        ('multipart/form-data; type="application/dicom"; boundary=b', 415),
        ("", 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary="é"', 400),
        ('multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
def test_a_body_of_another_kind_is_refused(one: Serving, kind: str, status: int) -> None:
    """415 where the type is wrong, 400 where the boundary is; nothing is stored."""
    before = one.stored()
    answer = one.store(body_of(study(1)), Content_Type=kind)
    assert answer.status == status
    assert (one.stored(), one.unfinished()) == (before, [])


def test_a_part_of_another_kind_is_refused(one: Serving) -> None:
    """Metadata with bulk data apart is not taken; nor is a body in base64 or gzip."""
    sent = part10(study(1)[0])
    assert one.store(multipart([b"{}"], kind="application/dicom+json")).status == 415
    coded = "application/dicom\r\nContent-Transfer-Encoding: base64"
    assert one.store(multipart([sent], kind=coded)).status == 415
    assert one.store(multipart([sent]), Content_Encoding="gzip").status == 415
    assert one.store(multipart([sent]), Accept="text/html").status == 406
    assert one.store(multipart([sent]), Accept="application/dicom+json;q=0.9").status == 200


def test_what_is_cut_off_is_told_and_leaves_nothing(one: Serving) -> None:
    """400: the body ends within an instance, or between two; what came whole stays."""
    first, second = study(1)[0], study(1)[0]
    body = body_of([first, second])
    answer = one.store(body[: len(body) - 700])
    assert answer.status == 400
    assert len(answer.items(STORED)) == 1
    assert not one.spool.study(str(second.StudyInstanceUID)).names(Kind.IMAGE)
    assert one.store(b"").status == 400
    assert one.store(multipart([])).status == 400
    assert one.unfinished() == []


def test_what_is_too_large_is_told_before_it_is_read(one: Serving) -> None:
    """413 by the length that is announced, by what really comes, and by one instance."""
    announced = {**BEARER, "Content-Type": KIND, "Content-Length": str(4 << 20)}
    connection = one.connection()
    connection.putrequest("POST", STUDIES)
    for name, value in announced.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    large = image("1.2.826.78", PixelData=bytes(2 << 20))
    assert one.store(body_of([large])).status == 413
    pieces = (b"x" * 65536 for _ in range(64))
    headers = {**BEARER, "Content-Type": KIND}
    connection = one.connection()
    connection.request("POST", STUDIES, body=pieces, headers=headers, encode_chunked=True)
    assert connection.getresponse().status in (400, 413)
    connection.close()
    assert not one.spool.study("1.2.826.78").names(Kind.IMAGE)
    assert one.unfinished() == []


def test_memory_is_bounded_by_a_piece_not_by_the_body(one: Serving) -> None:
    """Fed in pieces, an upload holds no more than the piece and a boundary."""
    sent = body_of([image("1.2.826.79", PixelData=bytes(900 << 10))])
    # The parser is asked, because the size of a process tells too little.
    seen = max(len(piece) for piece in _held(one, sent, 4096))
    assert seen < 4096 + 200


def test_without_the_token_nobody_sends(tmp_path: Path) -> None:
    """401 for none, another, another scheme; the log tells of it, and not which token was tried."""
    body = body_of(study(1))
    with serving(tmp_path) as locked:
        for authorization in ("", "Bearer wrong", "Basic Zm9vOmJhcg==", "Bearer", "bearer  "):
            answer = locked.store(body, Authorization=authorization)
            assert (answer.status, "www-authenticate" in answer.headers) == (401, True)
        assert locked.stored() == []
        assert "wrong" not in locked.log.getvalue()
        assert [one["audit"] for one in locked.events("upload refused")] == [True] * 5


def test_a_full_disk_refuses_first(tmp_path: Path) -> None:
    """503 with a time to try again; nothing is written."""
    free_mb = shutil.disk_usage(tmp_path).free >> 20
    with serving(tmp_path, min_free_mb=free_mb + 10_000) as full:
        answer = full.store(body_of(study(1)))
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (full.stored(), full.unfinished()) == ([], [])


def test_more_uploads_than_allowed_are_told_to_wait(tmp_path: Path) -> None:
    """503 while another body is on its way; then it is that one's turn."""
    body = body_of(study(1))
    with serving(tmp_path, max_uploads=1) as one_at_a_time:
        first = one_at_a_time.connection()
        first.putrequest("POST", STUDIES)
        headers = {**BEARER, "Content-Type": KIND, "Content-Length": str(len(body))}
        for name, value in headers.items():
            first.putheader(name, value)
        first.endheaders(body[:500])
        while one_at_a_time.store(body_of(study(1))).status != 503:
            assert one_at_a_time.stored()  # it came before the first was seen
        first.send(body[500:])
        assert first.getresponse().status == 200
        first.close()
        assert one_at_a_time.store(body_of(study(1))).status == 200


def test_a_sender_that_falls_silent_is_cut_off(one: Serving) -> None:
    """408 after ``timeout_seconds``, and nothing is left of what it began."""
    body = body_of(study(1))
    request = f"POST {STUDIES} HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\n"
    request += f"Authorization: {BEARER['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = one.connection()
    connection.connect()
    connection.sock.sendall(request.encode() + body[:1500])
    assert connection.sock.recv(65536).startswith(b"HTTP/1.1 408")
    connection.close()
    assert one.unfinished() == []


def test_without_a_token_there_is_only_health(tmp_path: Path) -> None:
    """No default password: the rest of the port is not there."""
    with serving(tmp_path, token="") as bare:
        assert bare.store(body_of(study(1))).status == 404
        assert bare.ask("/studies").status == 404
        assert bare.ask("/login").status == 404
        assert bare.ask("/healthz").status == 200
        assert bare.stored() == []


def _held(one: Serving, body: bytes, size: int) -> Iterator[bytes]:
    from dicom_node.desk import Desk, Sender  # noqa: PLC0415  # only this test goes beneath
    from dicom_node.upload import Accepted, Rules  # noqa: PLC0415  # as above

    accepted = Accepted(sop_classes=[CTImageStorage], transfer_syntaxes=["1.2.840.10008.1.2.1"])
    upload = Upload(
        Desk(spool=one.spool, min_free_mb=1, arrived=one.arrivals.append),
        Sender(title="STOW-RS", address=""),
        "a boundary with blanks",
        Rules(accepted=accepted, max_instance_bytes=1 << 20),
    )
    for start in range(0, len(body), size):
        upload.feed(body[start : start + size])
        yield upload._parts._held + upload._start
    upload.finish()
    assert upload.http_status == 200
