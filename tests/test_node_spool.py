"""The spool: whole files or none, the first content of a UID, reports that tell how they ended."""

from __future__ import annotations

import errno
import os
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest
from blake3 import blake3

from dicom_node.durable import make_folder, read_json, write_json
from dicom_node.intake import Header, Kind, name_of
from dicom_node.reports import Marker, hash_of, open_report
from dicom_node.spool import Spool, Stored

STUDY = "1.2.3"


def header(number: int = 1, *, study: str = STUDY) -> Header:
    """A header of one instance of a study."""
    return Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"{study}.{number}",
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    made = Spool(tmp_path / "data")
    made.prepare()
    return made


def test_an_instance_is_kept_under_hashes(spool: Spool) -> None:
    """The name says which instance and which content, and nothing that the sender wrote."""
    assert spool.store(header(), Kind.IMAGE, (b"head", b"body")) is Stored.NEW
    (path,) = spool.folder.glob("studies/*/images/*")
    assert path.read_bytes() == b"headbody"
    assert path.parts[-3:] == (
        name_of(STUDY),
        "images",
        f"{name_of('1.2.3.1')}.{blake3(b'headbody').hexdigest()}.dcm",
    )
    assert list((spool.folder / "incoming").iterdir()) == []


def test_the_same_instance_twice_is_one(spool: Spool) -> None:
    """Also for a spool that is opened anew."""
    spool.store(header(), Kind.IMAGE, (b"body",))
    assert spool.store(header(), Kind.IMAGE, (b"body",)) is Stored.SAME
    assert Spool(spool.folder).store(header(), Kind.IMAGE, (b"body",)) is Stored.SAME
    assert len(spool.study(STUDY).names(Kind.IMAGE)) == 1


def test_other_content_under_the_same_uid_is_kept_beside_the_first(spool: Spool) -> None:
    """The first stays what the report rests on; nothing that was acknowledged is lost."""
    spool.store(header(), Kind.IMAGE, (b"first",))
    for _ in range(2):
        assert spool.store(header(), Kind.IMAGE, (b"second",)) is Stored.CONFLICT
    study = spool.study(STUDY)
    assert len(study.names(Kind.IMAGE)) == len(study.conflicts()) == 1
    (kept,) = spool.folder.glob("studies/*/images/*")
    assert kept.read_bytes() == b"first"


def test_many_senders_of_the_same_uid_make_one_first(spool: Spool) -> None:
    """Sixteen threads with four contents: one is first, the other three are beside it."""
    outcomes: list[Stored] = []

    def send(number: int) -> None:
        outcomes.append(spool.store(header(), Kind.IMAGE, (b"%d" % (number % 4),)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(Stored.NEW) == 1
    assert len(spool.study(STUDY).names(Kind.IMAGE)) == 1
    assert len(spool.study(STUDY).conflicts()) == 3


@pytest.mark.fault
def test_a_full_disk_leaves_nothing_behind(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the data cannot be made durable there is no file, and the instance may come again."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spool.store(header(2, study="1.9"), Kind.IMAGE, (b"body",))
    monkeypatch.undo()
    assert not list(spool.folder.rglob("*.dcm"))
    assert not list(spool.folder.rglob("*.part"))
    assert spool.store(header(2, study="1.9"), Kind.IMAGE, (b"body",)) is Stored.NEW


def test_leftovers_of_a_killed_node_are_swept(spool: Spool) -> None:
    """A file that was being written when the node was killed was never acknowledged."""
    (spool.folder / "incoming" / "x.part").write_bytes(b"half")
    Spool(spool.folder).prepare()
    assert list((spool.folder / "incoming").iterdir()) == []


def test_what_has_two_names_at_a_start_is_compared_with_its_digest(spool: Spool) -> None:
    """As a power cut leaves it: a whole instance stays, a torn one goes and may come again."""
    for number, content in ((1, b"whole"), (2, b"torn ")):
        spool.store(header(number), Kind.IMAGE, (b"whole",))
        (path,) = spool.folder.glob(f"studies/*/images/{name_of(f'{STUDY}.{number}')}.*")
        path.write_bytes(content)
        os.link(path, spool.folder / "incoming" / f"{number}.part")
    after = Spool(spool.folder)
    after.prepare()
    assert list((spool.folder / "incoming").iterdir()) == []
    assert len(after.study(STUDY).names(Kind.IMAGE)) == 1
    assert after.store(header(1), Kind.IMAGE, (b"whole",)) is Stored.SAME
    assert after.store(header(2), Kind.IMAGE, (b"whole",)) is Stored.NEW


def test_a_spool_of_an_earlier_version_goes_on(spool: Spool) -> None:
    """Its files are named by SHA-256: the same content is still the same, also after a kill."""
    for number in (1, 2):
        spool.store(header(number), Kind.IMAGE, (b"body",))
        (path,) = spool.folder.glob(f"studies/*/images/{name_of(f'{STUDY}.{number}')}.*")
        identity = path.name.split(".")[0]
        earlier = path.with_name(f"{identity}.{sha256(b'body').hexdigest()}.dcm")
        path.rename(earlier)
    os.link(earlier, spool.folder / "incoming" / "2.part")
    after = Spool(spool.folder)
    after.prepare()
    assert len(after.study(STUDY).names(Kind.IMAGE)) == 2
    assert after.store(header(1), Kind.IMAGE, (b"body",)) is Stored.SAME
    assert after.store(header(2), Kind.IMAGE, (b"other",)) is Stored.CONFLICT
    assert len(after.study(STUDY).names(Kind.IMAGE)) == 2
    assert len(after.study(STUDY).conflicts()) == 1


def test_who_sends_the_same_waits_until_the_first_is_safe(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails under the first of two senders lets neither believe that it is kept."""
    failing, waiting, sync = threading.Event(), threading.Event(), os.fsync

    def stuck(descriptor: int) -> None:
        if threading.current_thread().name == "first" and not os.path.isdir(
            f"/dev/fd/{descriptor}"
        ):
            failing.set()
            waiting.wait(10)
            time.sleep(0.2)  # so that the second finds the name of the first
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    def send() -> None:
        with pytest.raises(OSError, match="Input/output"):
            spool.store(header(), Kind.IMAGE, (b"body",))
        refused.append(threading.current_thread().name)

    refused: list[str] = []
    spool.store(header(9), Kind.IMAGE, (b"other",))
    first, second = (threading.Thread(target=send, name=one) for one in ("first", "second"))
    monkeypatch.setattr(os, "fsync", stuck)
    first.start()
    assert failing.wait(10)
    second.start()
    waiting.set()
    first.join()
    second.join()
    monkeypatch.undo()
    assert sorted(refused) == ["first", "second"]
    assert len(spool.study(STUDY).names(Kind.IMAGE)) == 1
    assert spool.store(header(), Kind.IMAGE, (b"body",)) is Stored.NEW


def test_a_report_is_named_by_its_images() -> None:
    """The same images in another order are the same report, one more image is another."""
    assert hash_of(["a", "b"]) == hash_of(["b", "a"]) != hash_of(["a", "b", "c"])


def test_reports_are_numbered_in_the_order_of_their_making(tmp_path: Path) -> None:
    """A later report replaces an earlier one; opening it again makes no new one."""
    make_folder(tmp_path / "study")
    first = open_report(tmp_path / "study", ["a"])
    second = open_report(tmp_path / "study", ["a", "b"])
    assert (first.sequence, second.sequence) == (1, 2)
    assert open_report(tmp_path / "study", ["a"]) == first
    assert second.identities > first.identities


def test_the_first_word_on_a_report_stands(tmp_path: Path) -> None:
    """A report that was sent does not fail later; taking the word back opens it again."""
    report = open_report(tmp_path, ["a"])
    seen = [report.marker]
    report.mark(Marker.SENT, destinations=[])
    report.mark(Marker.FAILED, reason="late")
    seen.append(report.marker)
    report.unmark()
    seen.append(report.marker)
    assert seen == [None, Marker.SENT, None]


def test_results_appear_whole(tmp_path: Path) -> None:
    """Until they are finished there are none; what a killed predecessor left is removed."""
    report = open_report(tmp_path, ["a"])
    (report.begin_results() / "half.dcm").write_bytes(b"half")
    assert (report.outcome, report.objects) == (None, [])
    work = report.begin_results()
    (work / "sr.dcm").write_bytes(b"whole")
    report.finish_results(work, {"state": "reported"})
    assert [path.name for path in report.objects] == ["sr.dcm"]
    assert (report.outcome or {})["state"] == "reported"
    assert not list(report.folder.glob("work-*"))


def test_of_two_who_make_the_same_results_the_first_stays(tmp_path: Path) -> None:
    """A worker that was taken for dead comes second: it is told, and its work is gone."""
    report = open_report(tmp_path, ["a"])
    first, second = report.begin_results(), report.begin_results()
    (first / "sr.dcm").write_bytes(b"first")
    report.finish_results(first, {"state": "reported"})
    with pytest.raises(FileNotFoundError):
        report.finish_results(second, {"state": "reported"})
    assert [path.read_bytes() for path in report.objects] == [b"first"]
    assert not list(report.folder.glob("work-*"))


def test_removing_instances_keeps_reports(spool: Spool) -> None:
    """Images go by name, everything else goes too; what comes again is new."""
    spool.store(header(1), Kind.IMAGE, (b"1",))
    spool.store(header(2), Kind.OTHER, (b"2",))
    study = spool.study(STUDY)
    report = open_report(study.path, study.names(Kind.IMAGE))
    spool.remove_instances(study, report.image_names)
    assert not list(spool.folder.rglob("*.dcm"))
    assert study.reports() == [report]
    assert spool.store(header(1), Kind.IMAGE, (b"1",)) is Stored.NEW


def test_json_is_replaced_at_once(tmp_path: Path) -> None:
    """A reader sees the old document or the new one, and no leftovers lie about."""
    for value in (1, 2):
        write_json(tmp_path / "x.json", {"value": value})
    assert read_json(tmp_path / "x.json") == {"value": 2}
    assert read_json(tmp_path / "none.json") is None
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
