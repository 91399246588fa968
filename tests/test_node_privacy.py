"""What the node keeps to itself: modes of its files, and patients' names in no ordinary log."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.cli import main
from dicom_node.durable import open_to_others
from tests import dialogue
from tests import node_world as world
from tests.certificates import authority, pair
from tests.ports import free_port

PATIENT = {
    "PatientName": "Wagenknecht-Oyelaran^Philippa",
    "PatientID": "MRN-7714-0032",
    "AccessionNumber": "ACC-90210-XY",
    "PatientBirthDate": "19310417",
    "InstitutionName": "Sankt Nimmerlein Spital",
}
TRACES = [part for value in PATIENT.values() for part in value.replace("^", " ").split()]


def of_patient(**attributes: str) -> list[Dataset]:
    """A study of the patient whose traces are looked for."""
    return world.study(2, **PATIENT, **attributes)


@pytest.mark.fault
@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_patient_stands_in_a_log(tmp_path: Path, level: str) -> None:
    """Whatever happens to a study: reported, broken off, refused, unsuitable, undeliverable."""
    reported, broken = of_patient(), of_patient(StudyDescription="break")
    refused, odd = of_patient(StudyDescription="refuse"), of_patient()[:1]
    odd[0].StudyInstanceUID = "1.2.03"
    conflict = world.image(reported[0].StudyInstanceUID, 1, **PATIENT, PixelData=bytes(99))
    with world.node(
        tmp_path, destinations={"PACS1": free_port()}, LOG_LEVEL=level, SEND_GIVE_UP_HOURS=0
    ) as node:
        for datasets in (reported, [conflict], broken, refused, odd):
            world.push(datasets, node.port)
        truncated = dialogue.request() + dialogue.pdu(4, dialogue.pdv(bytes(50), 3))
        dialogue.answers(node.port, truncated)
        for study in (reported, broken, refused):
            node.wait_for(str(study[0].StudyInstanceUID), "undelivered", "failed", "sent")
        node.stop()
        said = node.log.read_text() + json.dumps(node.ready)
    assert str(reported[0].StudyInstanceUID) in said
    assert [trace for trace in TRACES if trace.lower() in said.lower()] == []


def test_what_the_node_writes_is_its_own(tmp_path: Path) -> None:
    """Folders 0700 and files 0600, whatever the umask of who started it."""
    before = os.umask(0o022)
    try:
        (tmp_path / "node").mkdir(0o755)
        with world.node(tmp_path) as node:
            study = of_patient()
            world.push(study, node.port)
            node.wait_for(str(study[0].StudyInstanceUID), "sent")
            assert open_to_others(node.folder) is None
            modes = {stat.S_IMODE(path.stat().st_mode) for path in node.folder.rglob("*")}
            assert modes <= {0o700, 0o600}
            assert len(node.events("data folder was open to others")) == 1
    finally:
        os.umask(before)


def test_check_names_what_is_open_to_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the spool, and the key of the node's certificate; the hint mends it."""
    monkeypatch.setenv("SIFDETECT_MODELS", str(tmp_path / "no-models"))
    own, spool = pair("node"), tmp_path / "node"
    file = tmp_path / "sifnode.toml"
    file.write_text(
        f'[storage]\nfolder = "{spool}"\n[dicom]\nport = 0\ntls_certificate = "{own.certificate}"\n'
        f'tls_key = "{own.key}"\ntls_ca = "{authority("clinic")}"\n[http]\nport = 0\n'
    )
    found = checked(capsys, file)
    assert (found["data folder"], found["TLS"]) == ("", "")
    image = spool / "studies" / "x.dcm"
    image.parent.mkdir()
    image.touch(0o644)
    image.chmod(0o644)
    Path(own.key).chmod(0o640)
    try:
        found = checked(capsys, file)
    finally:
        Path(own.key).chmod(0o600)
    assert "x.dcm is open to others on this machine (mode 0644)" in found["data folder"]
    assert "is open to others" in found["TLS"]


def checked(capsys: pytest.CaptureFixture[str], file: Path) -> dict[str, str]:
    """What `sifnode check` says of each thing, by its name."""
    main(["check", "--json", "--config", str(file)])
    return {one["name"]: one["trouble"] for one in json.loads(capsys.readouterr().out)}
