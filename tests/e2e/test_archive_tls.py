"""An archive that speaks TLS alone: asked, fetched from on each DIMSE road, analysed again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from dicom_node.archive_settings import ArchiveConfig
from dicom_node.campaign import Campaign
from dicom_node.completion import archive_of
from dicom_node.config import Config, Destination, DicomConfig, StorageConfig
from dicom_node.keyring import dicom_keyring
from dicom_node.retrieve import Basket, fetch
from sifdetect.errors import NetworkError
from tests import node_world as world
from tests.certificates import authority, pair, secured
from tests.e2e.orthanc import Orthanc
from tests.ports import free_port

pytestmark = pytest.mark.e2e

MOVE_TITLE = "SIFPRIORS"


@pytest.fixture(scope="module")
def move_port() -> int:
    """Where C-MOVE has images sent."""
    return free_port()


@pytest.fixture(scope="module")
def pacs(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, move_port: int
) -> Iterator[Orthanc]:
    """Orthanc, which speaks TLS alone, in both directions."""
    peers = {"node": ("SIFDETECT", free_port()), "priors": (MOVE_TITLE, move_port)}
    own = pair("pacs")
    with Orthanc(
        tool("Orthanc"),
        tmp_path_factory.mktemp("orthanc"),
        peers,
        tls=(own.certificate, own.key, authority("clinic")),
    ) as made:
        yield made


@pytest.mark.parametrize("how", ["c-get", "c-move"])
def test_a_study_is_asked_for_and_fetched_over_tls(
    pacs: Orthanc, move_port: int, tmp_path: Path, how: str
) -> None:
    """For C-MOVE the node's own listener speaks TLS too: nothing crosses the network in clear."""
    uid = _uploaded(pacs, f"T-{how}")
    config = _config(pacs, tmp_path, how, move_port)
    archive = archive_of(config)
    (series,) = archive.series(uid)
    basket = _basket(tmp_path, uid)
    fetch(archive, config.archive, [(uid, str(series.SeriesInstanceUID))], basket)
    assert len(list((tmp_path / "fetched").iterdir())) == 6


def test_a_bad_certificate_does_not_stop_what_is_fetched(
    pacs: Orthanc, move_port: int, tmp_path: Path
) -> None:
    """The listener of C-MOVE has the node's keyring, which keeps the pair that was good."""
    uid, own = _uploaded(pacs, "T-renewed"), tmp_path / "own.pem"
    own.write_bytes(Path(pair("node").certificate).read_bytes())
    config = _config(pacs, tmp_path, "c-move", move_port)
    config = replace(config, dicom=DicomConfig(**secured(tls_certificate=str(own))))
    keys = dicom_keyring(config.dicom)
    archive = archive_of(config, keys)
    own.write_text("no certificate")
    keys.renew()
    (series,) = archive.series(uid)
    wanted = [(uid, str(series.SeriesInstanceUID))]
    fetch(archive, config.archive, wanted, _basket(tmp_path, uid))
    assert len(list((tmp_path / "fetched").iterdir())) == 6


def test_a_listener_in_clear_gets_nothing_from_it(
    pacs: Orthanc, move_port: int, tmp_path: Path
) -> None:
    """C-MOVE to a listener without TLS fails in a sentence: the test above is one of TLS."""
    uid = _uploaded(pacs, "T-clear")
    config = replace(_config(pacs, tmp_path, "c-move", move_port), dicom=DicomConfig())
    archive = archive_of(config)
    (series,) = archive.series(uid)
    wanted = [(uid, str(series.SeriesInstanceUID))]
    with pytest.raises(NetworkError):
        fetch(archive, config.archive, wanted, _basket(tmp_path, uid))


def test_a_campaign_asks_and_fetches_over_tls(pacs: Orthanc, tmp_path: Path) -> None:
    """`sifnode reanalyze`: archive and node both speak TLS alone."""
    uid = _uploaded(pacs, "T-campaign")
    own = {f"DICOM_{key.upper()}": value for key, value in secured().items()}
    with world.node(tmp_path, **own) as node:
        config = replace(
            _config(pacs, tmp_path, "c-get", 0), storage=StorageConfig(folder=node.folder)
        )
        campaign = Campaign(config, "spring", wait=time.sleep)
        done = campaign.run(
            {"PatientID": "T-campaign"}, limit=1, per_hour=3600.0, timeout_seconds=300.0
        )
        assert done == {"done": 1}
        assert [one["study"] for one in node.events("study analysed")] == [uid]


def _config(pacs: Orthanc, folder: Path, how: str, move_port: int) -> Config:
    own = pair("node")
    peer = Destination(
        host="127.0.0.1",
        port=pacs.dicom_port,
        ae_title=pacs.ae_title,
        tls=True,
        tls_certificate=own.certificate,
        tls_key=own.key,
        tls_ca=authority("clinic"),
    )
    return Config(
        dicom=DicomConfig(**secured()),
        storage=StorageConfig(folder=folder / "data"),
        destination={"PACS1": peer},
        archive=ArchiveConfig(
            destination="PACS1", retrieve=how, move_ae_title=MOVE_TITLE, move_port=move_port
        ),
    )


def _basket(folder: Path, study_instance_uid: str) -> Basket:
    deadline = time.monotonic() + 60
    return Basket(folder / "fetched", study_instance_uid, most=100, most_mb=100, deadline=deadline)


def _uploaded(pacs: Orthanc, patient_id: str) -> str:
    study = world.study(6, PatientID=patient_id)
    for one in study:
        buffer = BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        pacs.upload(buffer.getvalue())
    return str(study[0].StudyInstanceUID)
