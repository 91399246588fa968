"""`sifnode …` as an administrator uses it: exit codes, streams, JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dicom_node.cli import main
from dicom_node.intake import Header, Kind
from dicom_node.reports import Marker, open_report
from dicom_node.spool import Spool
from tests import node_world as world
from tests.ports import free_port


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine that runs the tests, and a state folder of their own."""
    for variable in list(os.environ):
        if variable.startswith("SIFNODE_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that a command prints, which must succeed."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def settings(folder: Path, port: int = 104) -> str:
    """A settings file for the node that works below ``folder``, with one destination."""
    file = folder / "sifnode.toml"
    data = json.dumps(str(folder / "node"))
    file.write_text(
        f"[storage]\nfolder = {data}\n[dicom]\nport = 0\n[http]\nport = 0\n"
        f'[destination.PACS1]\nhost = "127.0.0.1"\nport = {port}\nae_title = "PACS"\n'
    )
    return str(file)


def test_serve_runs_without_settings(tmp_path: Path) -> None:
    """`sifnode serve` alone is a node; its one line on stdout names the port; SIGTERM ends it."""
    command = [sys.executable, "-m", "dicom_node.cli", "serve", "--port", "0", "--http-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        assert world.push(world.study(1), ready["port"]) == [0]
        process.send_signal(signal.SIGTERM)
        rest, log = process.communicate(timeout=world.FINISH_SECONDS)
    assert (process.returncode, rest) == (0, "")
    assert [json.loads(line)["level"] for line in log.splitlines()]
    assert (tmp_path / "state" / "sifnode" / "studies").is_dir()
    assert (tmp_path / "state" / "sifnode").stat().st_mode & 0o077 == 0


def test_serve_says_what_is_wrong_with_its_port(tmp_path: Path) -> None:
    """A port that is taken: one sentence on stderr, exit code 6."""
    with world.node(tmp_path / "first") as first:
        command = [sys.executable, "-m", "dicom_node.cli", "serve", "--port", str(first.port)]
        done = subprocess.run(
            [*command, "--http-port", "0"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 6
    assert f"DICOM cannot listen on 127.0.0.1 port {first.port}" in done.stderr


def test_status_tells_what_became_of_each_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a node and without one; as JSON and as text."""
    file, study = settings(tmp_path), world.study(2)
    uid = str(study[0].StudyInstanceUID)
    assert ask(capsys, "status", "--config", file)["node"] == {"running": False}
    with world.node(tmp_path) as node:
        world.push(study, node.port)
        node.wait_for(uid, "sent")
        told = ask(capsys, "status", "--config", file)
        assert told["node"]["running"]
        assert told["node"]["port"] == node.port
    assert told["counts"] == {"sent": 1}
    assert ask(capsys, "status", uid, "--config", file)["studies"][0]["images"] == 2
    assert main(["status", "--config", file]) == 0
    assert f"{uid}  sent  images 2\n" in capsys.readouterr().out
    assert main(["status", "1.2.3", "--config", file]) == 2


def test_a_failed_report_can_be_done_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`retry` takes the analysis up anew, and the report is sent."""
    study = world.study(1, StudyDescription="flaky")
    uid = str(study[0].StudyInstanceUID)
    with world.node(tmp_path) as node:
        world.push(study, node.port)
        node.wait_for(uid, "failed")
        assert ask(capsys, "retry", uid, "--config", settings(tmp_path))["report"]
        told = node.wait_for(uid, "sent")
    assert told["reports"][0]["outcome"] == "reported"


def test_an_undelivered_report_can_be_sent_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the node gave up, `retry` sends the same results; the name of a job will do."""
    study, port = world.study(1), free_port()
    uid, file = str(study[0].StudyInstanceUID), settings(tmp_path, port)
    with world.node(tmp_path, destinations={"PACS1": port}, SEND_GIVE_UP_HOURS=0) as node:
        world.push(study, node.port)
        told = node.wait_for(uid, "undelivered")
        assert "could not be reached" in told["reports"][0]["deliveries"][0]["sentence"]
        with world.pacs(tmp_path / "pacs", port) as pacs:
            assert main(["retry", f"send:{uid}:x:PACS1:0", "--config", file]) == 0
            node.wait_for(uid, "sent")
            assert len(list(pacs.iterdir())) == 3
    assert main(["retry", "1.2.3", "--config", file]) == 2
    assert "There is no report on '1.2.3'" in capsys.readouterr().err


def test_the_queue_shows_what_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A send that waits for its destination is listed with its stage, study and time."""
    study, port = world.study(1), free_port()
    uid, file = str(study[0].StudyInstanceUID), settings(tmp_path, port)
    assert ask(capsys, "queue", "list", "--config", file) == []
    with world.node(
        tmp_path,
        destinations={"PACS1": port},
        SEND_FIRST_RETRY_SECONDS=600,
        SEND_MAX_RETRY_SECONDS=600,
    ) as node:
        world.push(study, node.port)
        jobs = world.wait_until(
            lambda: ask(capsys, "queue", "list", "--config", file),
            lambda found: (
                [job["status"] for job in found] == ["DELAYED"] and found[0]["stage"] == "send"
            ),
            trouble=node.log,
        )
    (job,) = jobs
    assert (job["study_instance_uid"], job["id"].split(":")[3:]) == (uid, ["PACS1", "1"])
    assert 590 < job["delayed_until"] - job["created_at"] < 610


def test_echo_asks_a_destination(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 where it answers, 6 where it does not, 2 where the name is unknown."""
    port = free_port()
    file = settings(tmp_path, port)
    assert main(["echo", "PACS1", "--config", file]) == 6
    with world.pacs(tmp_path / "pacs", port):
        assert main(["echo", "PACS1", "--config", file]) == 0
    assert main(["echo", "PACS9", "--config", file]) == 2
    told = capsys.readouterr()
    assert told.out == "PACS1 answered\n"
    assert "Known: PACS1" in told.err


def test_check_looks_at_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folder, ports, models and destinations, each with its trouble; the first one's exit code."""
    port = free_port()
    file = settings(tmp_path, port)
    monkeypatch.setenv("SIFDETECT_MODELS", str(tmp_path / "no-models"))
    assert main(["check", "--json", "--config", file]) == 5
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["data folder"]["trouble"] == found["DICOM port"]["trouble"] == ""
    assert "There is no model" in found["models"]["trouble"]
    assert "could not be reached" in found["destination PACS1"]["trouble"]
    with world.pacs(tmp_path / "pacs", port):
        main(["check", "--config", file])
    assert "destination PACS1: ok" in capsys.readouterr().out


def test_what_a_peer_says_commands_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reasons may quote files and peers: an escape sequence among them is shown, not obeyed."""
    reason = "Series \x1b]0;owned\x07 \x9b2J\r\n1.2.3  sent  images 9"
    monkeypatch.setenv("SIFNODE_STORAGE_FOLDER", str(tmp_path))
    spool = Spool(tmp_path)
    spool.prepare()
    header = Header(
        sop_class_uid="1.2",
        sop_instance_uid="1.2.3.4",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
    )
    spool.store(header, Kind.IMAGE, (b"image",))
    study = spool.study("1.2.3")
    report = open_report(study.path, study.names(Kind.IMAGE))
    report.finish_results(report.begin_results(), {"state": "failed", "reason": reason})
    report.mark(Marker.FAILED, reason=reason)
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert "Series ?]0;owned? ?2J??1.2.3" in told
    assert all(line.isprintable() for line in told.split("\n"))


def test_who_reads_no_further_sees_no_traceback() -> None:
    """`sifnode conformance | head -1`: the reader has gone before the page is written."""
    command = [sys.executable, "-m", "dicom_node.cli", "conformance"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=world.FINISH_SECONDS) == 0


def test_mistakes_have_their_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2 for the command line, 3 for the settings; nothing on stdout."""
    with pytest.raises(SystemExit) as usage:
        main(["serve", "--colour", "red"])
    assert usage.value.code == 2
    for number in ("x", "0", "nan"):
        with pytest.raises(SystemExit) as usage:
            main(["reanalyze", "--campaign", "a", "--per-hour", number])
        assert usage.value.code == 2
        assert f"{number!r} is no number above 0" in capsys.readouterr().err
    assert main(["status", "--config", str(tmp_path / "none.toml")]) == 3
    assert main(["serve", "--port", "many"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "the command line: dicom.port is 'many', which is no whole number" in told.err
