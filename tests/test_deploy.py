"""What stands in deploy/ fits the node, the tools that read it, and each other."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dicom_node.config import PREFIX, load
from tests.conftest import ROOT
from tests.e2e.ohif import CONFIGURATION
from tests.e2e.orthanc import DICOMWEB_PLUGIN

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
PROGRAM = "/opt/sifdetect/.venv/bin/sifnode"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CONTAINERFILES = sorted(DEPLOY.glob("*Containerfile"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_each_unit(tmp_path: Path, tool: Callable[[str], Path], unit: Path) -> None:
    """`systemd-analyze verify` has nothing to say of it, the program being where it is."""
    program = tmp_path / "sifnode"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, str(program)))
    done = subprocess.run(
        [str(tool("systemd-analyze")), "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_each_unit_runs_a_command_that_there_is(unit: Path) -> None:
    """Its options are those of `sifnode serve`, and its role those of the settings."""
    from dicom_node.cli import _overrides, _parser  # noqa: PLC0415  # only this test needs it

    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    program, *words = shlex.split(line.replace("%i", "1"))
    options = _parser().parse_args(words)
    config = load(environment=_SHARED, command_line=_overrides(options))
    role = unit.stem.removeprefix("sifnode").strip("-@") or "all"
    assert (program, config.jobs.role) == (PROGRAM, role)
    assert config.http.port == (8121 if role == "worker" else 8112)


@pytest.mark.parametrize("service", ["receiver", "worker"])
def test_the_compose_file_s_settings_are_taken(service: str) -> None:
    """Each variable is a key of the settings, and its value in range."""
    config = load(environment=_settings(service))
    assert config.jobs.role == service
    assert config.jobs.database == "postgresql://sifnode:secret@database/sifnode"
    assert config.destination["PACS1"].host == "pacs"
    assert config.destination["PACS1"].host in COMPOSE["services"]


def test_services_and_volumes_of_the_compose_file_are_there() -> None:
    """Names that one part uses of another are names of parts; mounted files lie here."""
    services = COMPOSE["services"]
    assert set(services) == {"database", "receiver", "worker", "pacs", "viewer"}
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            is_file = source.startswith(".") and not source.startswith("../build")
            assert (DEPLOY / source).is_file() if is_file else True
            assert source in COMPOSE["volumes"] or source.startswith(".")
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda path: path.name)
def test_a_container_copies_what_there_is(file: Path) -> None:
    """Each source is in the repository and is not kept out of the build."""
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [
        source
        for line in re.findall(r"^COPY (.*)$", file.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {source.removeprefix("./") for source in copied} <= kept


def test_the_node_s_container_installs_the_torch_of_the_makefile() -> None:
    """One version, in one more place."""
    wanted = re.findall(r"^TORCH := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    found = re.findall(r"torch==\S+", (DEPLOY / "Containerfile").read_text())
    assert found == wanted


def test_what_the_container_offers_can_be_reached() -> None:
    """Each port that it exposes is listened on beyond its own loopback."""
    text = (DEPLOY / "Containerfile").read_text()
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    config = load(
        environment=dict(word.split("=", 1) for word in block.replace("\\\n", " ").split())
    )
    (exposed,) = re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)
    ports = [config.dicom.port, config.commit.port, config.http.port]
    assert [int(one) for one in exposed.split()] == ports
    assert (config.dicom.bind, config.http.bind) == ("0.0.0.0", "0.0.0.0")


@pytest.mark.parametrize("service", ["receiver", "worker"])
def test_the_compose_file_asks_for_health_as_the_image_does(service: str) -> None:
    """In words of its own, because an image of the OCI format has no health check."""
    text = (DEPLOY / "Containerfile").read_text()
    (command,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", text, re.MULTILINE)
    assert COMPOSE["services"][service]["healthcheck"]["test"] == ["CMD", *json.loads(command)]


def test_the_pacs_knows_the_receiver() -> None:
    """Title and port of the node, and the port that the node sends to."""
    pacs = json.loads((DEPLOY / "pacs.json").read_text())
    node = pacs["DicomModalities"]["sifnode"]
    config = load(environment=_settings("worker"))
    assert (node["AET"], node["Port"]) == (config.dicom.ae_title, config.dicom.port)
    assert node["Host"] in COMPOSE["services"]
    sent_to = config.destination["PACS1"]
    assert (pacs["DicomPort"], pacs["DicomAet"]) == (sent_to.port, sent_to.ae_title)
    assert pacs["Plugins"] == [str(DICOMWEB_PLUGIN)]


def test_the_viewer_is_set_up_as_the_tested_one() -> None:
    """The data source is the one of the tests in a browser, but for its name."""
    text = (DEPLOY / "viewer.js").read_text()
    config = json.loads(text[text.index("{") : text.rindex("}") + 1])
    known: Any = CONFIGURATION
    (tested,), (shipped,) = known["dataSources"], config["dataSources"]
    roots = ("wadoUriRoot", "qidoRoot", "wadoRoot", "bulkDataURI")
    assert {key: shipped["configuration"][key] for key in roots} == {
        key: tested["configuration"][key] for key in roots
    }


_SHARED = {f"{PREFIX}JOBS_DATABASE": "postgresql://sifnode@db/sifnode"}


def _settings(service: str) -> Mapping[str, str]:
    environment: dict[str, Any] = COMPOSE["services"][service]["environment"]
    filled = re.compile(r"\$\{\w+:\?[^}]*\}")
    return {key: filled.sub("secret", value) for key, value in environment.items()}
