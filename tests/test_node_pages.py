"""The page on the studies: nothing without the login, nothing by another site's form."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dicom_node.audit import AuditConfig
from dicom_node.auditlog import Auditor
from dicom_node.board import PAGE_LENGTH, board_of
from dicom_node.intake import name_of
from dicom_node.reports import Marker, open_report
from dicom_node.tokens import SESSION_SECONDS
from sifdetect.findings import to_json
from tests.node_http import TOKEN, Serving, body_of, is_answered, serving
from tests.node_runner import _absent
from tests.node_world import image, study

EVIL = "<script>alert(1)</script>^\"'&"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A port with one study that failed."""
    with serving(tmp_path_factory.mktemp("pages")) as made:
        failed(made, "1.2.826.1.1", PatientName=EVIL, StudyDescription="CT <b>pelvis</b>")
        yield made


def failed(port: Serving, uid: str, **attributes: Any) -> None:
    """A study whose analysis failed, with its reason."""
    assert port.store(body_of([image(uid, **attributes)])).status == 200
    report = _report(port, uid)
    outcome = {"state": "failed", "reason": "Broken <i>on</i> purpose", "seconds": 3.25}
    report.finish_results(report.begin_results(), outcome)
    report.mark(Marker.FAILED, reason=outcome["reason"])


def _report(port: Serving, uid: str):  # type: ignore[no-untyped-def]  # a report, for the tests here
    held = port.spool.study(uid)
    return open_report(held.path, [path.name for path in (held.path / "images").iterdir()])


def key_in(page: bytes) -> str:
    """The key that the forms of a page carry."""
    (key,) = set(re.findall(r'name="key" value="([0-9a-f]{64})"', page.decode()))
    return str(key)


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.seen.append((tag, dict(attrs)))


def test_nothing_is_shown_without_the_login(one: Serving) -> None:
    """The list sends to the login; the login page and what it loads know no patient."""
    for path in ("/studies", "/studies?show=attention"):
        answer = one.ask(path, headers={"Cookie": "sifnode=guessed"})
        assert (answer.status, answer.headers["location"], answer.body) == (303, "/login", b"")
    assert one.ask("/").headers["location"] == "/studies"
    for path in ("/login", "/page.css", "/healthz", "/readyz", "/metrics"):
        page = one.ask(path).body.decode()
        assert not [word for word in ("SECRET", "alert", "1.2.826.1.1") if word in page]


def test_the_token_opens_a_session_that_scripts_cannot_read(one: Serving) -> None:
    """HttpOnly, SameSite=Strict, for the whole site and for eight hours; the token is not in it."""
    answer = one.submit("/login", token=TOKEN)
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_SECONDS}"):
        assert word in cookie
    assert TOKEN not in cookie
    wrong = one.submit("/login", token="x" * 30)
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    assert "not this node" in unescape(wrong.body.decode())
    assert one.events("login refused")[-1]["audit"] is True


def test_the_list_tells_what_became_of_a_study(one: Serving) -> None:
    """State, whose it is, why it failed, how long it took; all of it as text, none as markup."""
    page = one.ask("/studies", headers={"Cookie": one.login()})
    text = unescape(page.body.decode())
    for word in ("failed", "SECRET-42", "Broken <i>on</i> purpose", "3.2 s", "1.2.826.1.1"):
        assert word in text
    assert "<script>alert(1)</script>" in text
    assert "CT <b>pelvis</b>" in text
    tags = Tags(page.body).seen
    assert {tag for tag, _ in tags} & {"script", "b", "i", "img", "iframe", "style"} == {"b"}
    assert not [attributes for _, attributes in tags if "style" in attributes]
    links = [a.get("href") or a.get("action") or "/" for _, a in tags]
    assert all(link.startswith("/") for link in links)


def test_the_policy_forbids_scripts_and_frames(one: Serving) -> None:
    """On every page, also on errors; nothing is kept by caches."""
    for path in ("/studies", "/login", "/nowhere"):
        headers = one.ask(path, headers={"Cookie": one.login()}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_retry_needs_session_key_and_own_origin(one: Serving) -> None:
    """Each of the three alone is not enough; with all three it is done, and audited."""
    cookie = one.login()
    key = key_in(one.ask("/studies", headers={"Cookie": cookie}).body)
    other = key_in(one.ask("/studies", headers={"Cookie": one.login()}).body)
    path, uid = "/studies/retry", "1.2.826.1.1"
    assert one.submit(path, "", study=uid, key=key).headers["location"] == "/login"
    assert one.submit(path, cookie, study=uid).status == 403
    assert one.submit(path, cookie, study=uid, key=other).status == 403
    assert one.submit(path, cookie, study=uid, key=key, origin="http://evil.example").status == 403
    assert one.submit(path, cookie, study=uid, key=key, origin="null").status == 403
    assert one.ask(path, headers={"Cookie": cookie}).status == 405
    assert one.retried == []
    answer = one.submit(path, cookie, study=uid, key=key, show="attention")
    assert answer.headers["location"] == "/studies?note=again&show=attention"
    assert one.retried == [uid]
    assert one.events("retry asked for")[-1]["study"] == uid
    refused = one.submit(path, cookie, study="1.2.404", key=key)
    assert refused.headers["location"] == "/studies?note=refused"


def test_logging_out_ends_the_session(one: Serving) -> None:
    """The cookie opens nothing any more, wherever it was copied to."""
    cookie = one.login()
    key = key_in(one.ask("/studies", headers={"Cookie": cookie}).body)
    assert one.submit("/logout", cookie).status == 303
    assert one.ask("/studies", headers={"Cookie": cookie}).status == 200
    assert one.submit("/logout", cookie, key=key).headers["location"] == "/login"
    assert one.ask("/studies", headers={"Cookie": cookie}).status == 303


def test_a_form_that_is_none_is_refused(one: Serving) -> None:
    """Another type, too long, no ASCII, too many fields."""
    for body, kind in (
        (b"{}", "application/json"),
        (b"token=" + b"x" * 20_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=1&" * 30, "application/x-www-form-urlencoded"),
    ):
        headers = {"Content-Type": kind}
        assert one.ask("/login", method="POST", body=body, headers=headers).status == 403


def test_who_leaves_within_a_form_is_no_failure_of_the_node(tmp_path: Path) -> None:
    """Anybody can do so: it must not raise the alarm that failures are for."""
    with serving(tmp_path) as port:
        head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        kind = b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port.port), timeout=10) as line:
                line.sendall(head + kind + b"token=")
                time.sleep(0.1)
        assert is_answered(port)
        time.sleep(0.5)
        assert port.events("http request failed") == []


def test_who_shows_a_wrong_token_is_an_alert(tmp_path: Path) -> None:
    """In the audit log, for uploads and for the login; the token itself is not told."""
    auditor = Auditor(AuditConfig(), tmp_path, title="SIFDETECT")
    with serving(tmp_path, auditor=auditor) as port:
        assert port.store(b"", Authorization="Bearer guessed-by-nobody").status == 401
        assert port.submit("/login", token="guessed-by-nobody").status == 401
        told = (tmp_path / "audit" / "audit.xml").read_text()
    assert told.count("Security Alert") == len(told.splitlines()) == 2
    assert told.count('ParticipantObjectID="127.0.0.1"') == 2
    assert "guessed" not in told


def test_many_studies_come_in_pages_the_newest_first(tmp_path: Path) -> None:
    """Fifty on a page; the choice of a group goes along; odd page numbers mean the nearest."""
    with serving(tmp_path) as port:
        sent = [study(1)[0] for _ in range(PAGE_LENGTH + 3)]
        assert port.store(body_of(sent)).status == 200
        first = board_of(port.spool)
        assert (len(first.rows), first.pages, first.counts["progress"]) == (50, 2, 53)
        assert len(board_of(port.spool, page=2).rows) == 3
        assert board_of(port.spool, page=99).page == 2
        assert board_of(port.spool, group="attention").rows == ()
        cookie = {"Cookie": port.login()}
        page = port.ask("/studies?show=progress&page=2", headers=cookie).body.decode()
        assert 'href="/studies?show=progress" rel="prev"' in page
        for odd in ("0", "-1", "9" * 30, "²", "x"):
            assert port.ask(f"/studies?page={odd.encode().hex()}", headers=cookie).status == 200


def test_the_finding_is_the_sentence_of_the_report(tmp_path: Path) -> None:
    """Read from findings.json; where that is unreadable, from the outcome."""
    with serving(tmp_path) as port:
        assert port.store(body_of([image("1.2.826.2")])).status == 200
        report = _report(port, "1.2.826.2")
        work = report.begin_results()
        findings = to_json(_absent(image("1.2.826.2")))
        (work / "findings.json").write_text(json.dumps(findings))
        report.finish_results(work, {"state": "reported", "presence": "absent", "seconds": 1.0})
        (row,) = board_of(port.spool).rows
        assert row.sentence == "No finding like a sacral insufficiency fracture was seen."
        (report.folder / "results" / "findings.json").write_text("{}")
        (row,) = board_of(port.spool).rows
        assert (row.state, row.action) == ("sending", "Send now")
        assert row.sentence == "No finding like a sacral insufficiency fracture was seen."
        assert name_of("1.2.826.2") == report.folder.parent.parent.name


def test_a_header_that_cannot_be_read_still_leaves_a_row(tmp_path: Path) -> None:
    """The page is shown, with the study's UID to know it by."""
    with serving(tmp_path) as port:
        assert port.store(body_of([image("1.2.826.3")])).status == 200
        (path,) = port.stored()
        path.write_bytes(b"x" * 300)
        (row,) = board_of(port.spool).rows
        assert (row.uid, row.whose.name) == ("1.2.826.3", "")
