"""What Orthanc, a real archive, is asked: what a study should hold, and for an earlier study."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicom_node.archive_settings import ArchiveConfig, PriorsConfig
from dicom_node.auditlog import Auditor
from dicom_node.campaign import Campaign
from dicom_node.circumstances import circumstances_of
from dicom_node.completion import archive_of
from dicom_node.config import Config, Destination, StorageConfig
from dicom_node.durable import make_folder, write_json
from dicom_node.intake import Header, Kind
from dicom_node.priors import Priors, prior_of, prior_paths
from dicom_node.send import send
from dicom_node.spool import Spool, StudyFolder
from sifdetect.dicom.read_sr import read_findings
from sifdetect.dicom.results import encode_results
from sifdetect.dicom.write import SeriesHeader
from sifdetect.errors import UsageError
from sifdetect.results import read_results
from sifdetect.study import Analysis
from tests import node_world as world
from tests.e2e.orthanc import Orthanc
from tests.ports import free_port
from tests.result_cases import bilateral
from tests.test_node_audit import counts, lines, summary

pytestmark = pytest.mark.e2e

PATIENT = {"PatientID": "P-1", "PatientName": "Prior^Paula", "PatientBirthDate": "19400101"}
MOVE_TITLE = "SIFPRIORS"
WAIT_S = 60.0
FETCHED = ("DICOM Instances Transferred", "C", "0")


@pytest.fixture(scope="module")
def move_port() -> int:
    """Where C-MOVE has images sent."""
    return free_port()


@pytest.fixture(scope="module")
def pacs(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, move_port: int
) -> Iterator[Orthanc]:
    """Orthanc, which lets the node ask and knows where to move images to."""
    folder = tmp_path_factory.mktemp("orthanc")
    peers = {"node": ("SIFDETECT", free_port()), "priors": (MOVE_TITLE, move_port)}
    with Orthanc(tool("Orthanc"), folder, peers) as made:
        yield made


def test_a_study_waits_for_what_the_archive_holds(pacs: Orthanc, tmp_path: Path) -> None:
    """Half a series: `status` says what is awaited; the rest comes, and one report is made."""
    study = world.study(6, SeriesNumber=1, **PATIENT)
    _upload(pacs, study)
    uid = str(study[0].StudyInstanceUID)
    with _node(pacs, tmp_path) as node:
        world.push(study[:4], node.port)
        awaited = ["series 1 has 4 of the 6 images that the archive holds"]
        world.wait_until(
            lambda: node.study(uid).get("waits_for"), lambda said: said == awaited, trouble=node.log
        )
        time.sleep(2)
        assert node.study(uid)["reports"] == []
        world.push(study[4:], node.port)
        told = node.wait_for(uid, "sent")
    assert [one["images"] for one in told["reports"]] == [6]


def test_a_silent_archive_changes_nothing(pacs: Orthanc, tmp_path: Path) -> None:
    """Nobody listens there: the quiet time alone decides."""
    study = world.study(2, **PATIENT)
    uid, settings = str(study[0].StudyInstanceUID), {"ARCHIVE_DESTINATION": "PACS1"}
    with world.node(tmp_path, destinations={"PACS1": free_port()}, **settings) as node:
        world.push(study, node.port)
        node.wait_for(uid, "sending")
        assert node.events("archive not asked")


@pytest.mark.parametrize("how", ["c-get", "c-move", "wado-rs"])
def test_the_earlier_study_is_fetched(
    pacs: Orthanc, move_port: int, tmp_path: Path, how: str
) -> None:
    """The newest earlier one of that patient's pelvis: no later one, no head, nobody else's."""
    about = {**PATIENT, "PatientID": f"P-{how}"}
    wanted = _dated("20230105", about, StudyDescription="CT Becken")
    for other in (
        _dated("20200105", about, StudyDescription="CT Becken"),
        _dated("20230601", about, StudyDescription="CCT head"),
        _dated("20250105", about, StudyDescription="CT Becken"),
        _dated("20230301", {**about, "PatientBirthDate": "19500101"}, StudyDescription="CT Becken"),
    ):
        _upload(pacs, other)
    _upload(pacs, wanted)
    study, state = _prior(_config(pacs, tmp_path, how, move_port), _dated("20240105", about))
    assert (state["state"], state["kind"], state["instances"]) == ("found", "images", 6), state
    (folder,) = prior_paths(study.path)
    came = [dcmread(path) for path in folder.iterdir()]
    assert {str(one.SOPInstanceUID) for one in came} == {str(one.SOPInstanceUID) for one in wanted}
    assert came[0].pixel_array.shape == (32, 40)
    (told,) = lines(tmp_path / "data" / "audit")
    assert (summary(told)[:3], counts(told)) == (FETCHED, {str(wanted[0].SOPClassUID): 6})
    assert (str(wanted[0].StudyInstanceUID) in told, f"P-{how}" in told) == (True, True)


def test_our_own_report_stands_in_for_images_that_are_too_many(
    pacs: Orthanc, move_port: int, tmp_path: Path
) -> None:
    """It is read back to the findings that it was made from."""
    about = SeriesHeader(
        seed="prior", patient_id="P-own", patient_birth_date="19400101", date="20230105",
        study_description="MR Becken",
    )  # fmt: skip
    case = bilateral(about=about)
    _upload(pacs, [_slice(dataset) for dataset in case.study.series[0].datasets])
    report = encode_results(Analysis(case.findings, case.labels), case.study, ("sr",))["sr.dcm"]
    file = tmp_path / "sr.dcm"
    report.save_as(file, enforce_file_format=True)
    config = _config(pacs, tmp_path, "c-get", move_port, max_instances=8)
    peer = config.destination["PACS1"]
    assert send(peer, [file], own_title="SIFDETECT", timeout_seconds=10)[0].accepted
    mine = {"PatientID": "P-own", "PatientBirthDate": "19400101", "PatientName": "SYNTHETIC^CASE"}
    study, state = _prior(config, _dated("20240105", mine))
    assert (state["state"], state["kind"]) == ("found", "results"), state
    (folder,) = prior_paths(study.path)
    assert read_results(folder / "findings.json").study_instance_uid == about.study_instance_uid
    assert read_findings(next(folder.glob("*.dcm"))).fractures == case.findings.fractures


def test_what_breaks_a_limit_leaves_nothing(pacs: Orthanc, move_port: int, tmp_path: Path) -> None:
    """Images larger than allowed, on each road; the result says why nothing was compared."""
    about = {**PATIENT, "PatientID": "P-large"}
    large = {"Rows": 512, "Columns": 640, "PixelData": bytes(512 * 640 * 2)}
    _upload(pacs, _dated("20230105", about, **large))
    for how in ("c-get", "c-move", "wado-rs"):
        config = _config(pacs, tmp_path / how, how, move_port, max_mb=1)
        study, state = _prior(config, _dated("20240105", about))
        assert state["state"] == "failed"
        assert "more came than the settings allow" in state["reason"], how
        assert not (study.path / "prior").exists()


def test_a_prior_is_no_study_of_its_own(pacs: Orthanc, tmp_path: Path) -> None:
    """The whole node: fetched while the study comes, told to the analysis, and nothing else."""
    about = {**PATIENT, "PatientID": "P-node"}
    _upload(pacs, _dated("20230105", about))
    study = _dated("20240105", about)
    uid = str(study[0].StudyInstanceUID)
    with _node(pacs, tmp_path, PRIORS_ENABLED="true") as node:
        world.push(study, node.port)
        told = node.wait_for(uid, "sent")
        assert node.study(uid)["images"] == 6
    spool = Spool(tmp_path / "node")
    assert [one.study_instance_uid for one in spool.studies()] == [uid]
    path = spool.study(uid).path
    report = path / "reports" / told["reports"][0]["report"]
    assert circumstances_of(report).prior == prior_paths(path) != ()


def test_a_fetch_that_a_kill_broke_off_is_made_again(pacs: Orthanc, tmp_path: Path) -> None:
    """Half of it lies there and `prior.json` says asking: the next node fetches all of it."""
    about = {**PATIENT, "PatientID": "P-killed"}
    _upload(pacs, _dated("20230105", about))
    study = _dated("20240105", about)
    uid = str(study[0].StudyInstanceUID)
    path = Spool(tmp_path / "node").study(uid).path
    with _node(pacs, tmp_path, STUDY_QUIET_SECONDS=300, STUDY_MAX_WAIT_SECONDS=600) as node:
        world.push(study, node.port)
        node.kill()
    make_folder(path / "prior" / "images")
    (path / "prior" / "images" / "half").write_bytes(b"half")
    write_json(path / "prior.json", {"state": "asking", "at": time.time()})
    with _node(pacs, tmp_path, PRIORS_ENABLED="true") as node:
        told = node.wait_for(uid, "sent")
    report = path / "reports" / told["reports"][0]["report"]
    assert prior_of(path)["instances"] == len(list((path / "prior" / "images").iterdir())) == 6
    assert circumstances_of(report).prior == prior_paths(path)


def _node(pacs: Orthanc, folder: Path, **settings: object) -> Any:
    return world.node(
        folder,
        destinations={"PACS1": pacs.dicom_port},
        DESTINATION_PACS1_AE_TITLE=pacs.ae_title,
        ARCHIVE_DESTINATION="PACS1",
        **settings,
    )


def _config(pacs: Orthanc, folder: Path, how: str, move_port: int, **priors: Any) -> Config:
    web = f"http://127.0.0.1:{pacs.http_port}/dicom-web" if how == "wado-rs" else ""
    peer = Destination(host="127.0.0.1", port=pacs.dicom_port, ae_title=pacs.ae_title, url=web)
    return Config(
        storage=StorageConfig(folder=folder / "data"),
        destination={"PACS1": peer},
        archive=ArchiveConfig(
            destination="PACS1",
            retrieve="c-move" if how == "c-move" else "c-get",
            move_ae_title=MOVE_TITLE,
            move_port=move_port,
        ),
        priors=PriorsConfig(enabled=True, **priors),
    )


def _prior(config: Config, study: Sequence[Dataset]) -> tuple[StudyFolder, dict[str, Any]]:
    """What came of seeking the prior of a study whose first image has arrived."""
    spool = Spool(config.storage.folder)
    spool.prepare()
    first, buffer = study[0], BytesIO()
    first.save_as(buffer, enforce_file_format=True)
    header = Header(
        sop_class_uid=str(first.SOPClassUID),
        sop_instance_uid=str(first.SOPInstanceUID),
        study_instance_uid=str(first.StudyInstanceUID),
        series_instance_uid=str(first.SeriesInstanceUID),
    )
    spool.store(header, Kind.IMAGE, (buffer.getvalue(),))
    auditor = Auditor(config.audit, config.storage.folder, title="SIFDETECT")
    archive = archive_of(config)
    priors = Priors(config, spool=spool, archive=archive, now=time.time, auditor=auditor)
    priors.seek(header.study_instance_uid)
    folder = spool.study(header.study_instance_uid)
    deadline = time.monotonic() + WAIT_S
    while prior_of(folder.path)["state"] == "asking" and time.monotonic() < deadline:
        time.sleep(0.1)
    priors.stop()
    return folder, prior_of(folder.path)


def _dated(day: str, about: dict[str, str], **more: Any) -> list[Dataset]:
    return world.study(6, StudyDate=day, StudyTime="101010", **{**about, **more})


def _slice(dataset: Dataset) -> Dataset:
    dataset.PixelData = bytes(int(dataset.Rows) * int(dataset.Columns) * 2)
    return dataset


def _upload(pacs: Orthanc, study: Sequence[Dataset]) -> None:
    for one in study:
        buffer = BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        pacs.upload(buffer.getvalue())


def test_a_campaign_has_studies_analysed_again_and_carries_on(
    pacs: Orthanc, tmp_path: Path
) -> None:
    """Studies of a query, one after another and paced; a second run takes the rest."""
    about = {**PATIENT, "PatientID": "P-campaign"}
    days = ("20220101", "20220102", "20220103")
    uids = []
    for day in days:
        study = _dated(day, about)
        uids.append(str(study[0].StudyInstanceUID))
        _upload(pacs, study)
    waits: list[float] = []
    with _node(pacs, tmp_path) as node:
        config = replace(
            _config(pacs, tmp_path, "c-get", 0), storage=StorageConfig(folder=node.folder)
        )
        campaign = Campaign(config, "spring", wait=waits.append)
        query, pace = {"PatientID": "P-campaign"}, {"per_hour": 4.0, "timeout_seconds": 300.0}
        assert campaign.run(query, limit=2, **pace) == {"done": 2, "waiting": 1}
        assert Campaign(config, "spring", wait=waits.append).run({}, limit=9, **pace) == {"done": 3}
        with pytest.raises(UsageError, match="another query"):
            campaign.run({"PatientID": "P-1"}, limit=9, **pace)
        again = Campaign(config, "summer", wait=waits.append).run(query, limit=1, **pace)
        assert again == {"done": 1, "waiting": 2}
        analysed = [one["study"] for one in node.events("study analysed")]
    assert sorted(analysed[:3]) == sorted(uids)
    assert len(analysed) == 4  # the same images under another campaign: made anew
    assert [0 < one <= 900 for one in waits] == [True]
