"""A study sent through the running node as a scanner would send it: ``sifnode send-test``.

The images are synthetic, or those of a folder; they get new identifiers and the patient
``TEST^SIFNODE``, so that each trial is a study of its own and nobody takes it for a patient's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import generate_uid

from dicom_node.config import Config, Destination
from dicom_node.guard import FolderLock
from dicom_node.send import associated, entity_for
from dicom_node.status import status_of
from dicom_node.tls import ANY_NAME
from sifdetect.errors import ConfigurationError, NetworkError, SifdetectError, UnreadableInput

FINAL = ("sent", "failed", "undelivered", "superseded", "withheld", "no image")
CALLER = "SIFTEST"
_LOOK_SECONDS = 0.5
_PATIENT, _PATIENT_ID = "TEST^SIFNODE", "SIFNODE-TEST"


def send_test(
    config: Config, *, folder: Path | None, seed: int, wait_seconds: float, caller: str = CALLER
) -> dict[str, Any]:
    """Send one study and wait for what becomes of it; what ``sifnode status`` says of it then.

    Args:
        folder: DICOM images of one study; None makes a synthetic one from ``seed``.

    Raises:
        ConfigurationError: no node runs on the data folder.
        UnreadableInput: there is no image in the folder.
        NetworkError: the node does not take the study, or has no answer in time.
    """
    node = running_node(config)
    begun = time.monotonic()
    with _images(folder, seed) as files:
        study, uid = anonymous(files)
        sending = time.monotonic()
        hand_in(config, study, caller)
    sent = time.monotonic()
    told = await_end(config, uid, wait_seconds)
    seconds = {"made": sending - begun, "sent": sent - sending, "answered": time.monotonic() - sent}
    return {
        "node": f"{node['ae_title']} at {node['bind']}:{node['port']}",
        "images": len(study),
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "study": told,
    }


def running_node(config: Config) -> dict[str, Any]:
    """What the status file says of the node on the data folder.

    Raises:
        ConfigurationError: none runs there.
    """
    folder = config.storage.folder
    node: dict[str, Any] = status_of(folder)["node"] if FolderLock(folder).is_held() else {}
    if not node.get("port"):
        raise ConfigurationError(
            f"No node runs on {folder}", hint="Start it with `sifnode serve` and the same settings"
        )
    return node


def hand_in(config: Config, study: Sequence[Dataset | Path], caller: str) -> None:
    """Send images, or the files of images, to the running node by C-STORE.

    Raises:
        NetworkError: it does not take them all.
        ConfigurationError: no node runs, or the files for TLS cannot be used.
    """
    node = running_node(config)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(node["bind"], node["bind"])
    peer = Destination(host=host, port=node["port"], ae_title=node["ae_title"], **_keys(config))
    entity = entity_for(peer, caller, config.dicom.timeout_seconds)
    for sop_class, syntax in sorted({_kind(one) for one in study}):
        entity.add_requested_context(sop_class, syntax)
    with associated(entity, peer) as association:
        for one in study:
            status = association.send_c_store(one).get("Status")
            if status != 0x0000:
                told = "no answer" if status is None else f"0x{status:04X}"
                raise NetworkError(f"The node refused an image: {told}")


def _keys(config: Config) -> dict[str, Any]:
    """Where the node speaks TLS: it is shown its own certificate, and may show no other."""
    keys = config.dicom
    if not keys.tls_certificate:
        return {}
    own = {"tls_certificate": keys.tls_certificate, "tls_key": keys.tls_key}
    return {**own, "tls": True, "tls_ca": keys.tls_certificate, "tls_name": ANY_NAME}


def _kind(one: Dataset | Path) -> tuple[str, str]:
    meta = read_file_meta_info(one) if isinstance(one, Path) else one.file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def await_end(config: Config, study_instance_uid: str, seconds: float) -> dict[str, Any]:
    """The study's status once it has ended.

    Raises:
        NetworkError: it has not in so many seconds.
    """
    deadline = time.monotonic() + seconds
    found: dict[str, Any] = {}
    while time.monotonic() < deadline:
        studies = status_of(config.storage.folder)["studies"]
        found = next((o for o in studies if o["study_instance_uid"] == study_instance_uid), {})
        if found.get("state") in FINAL:
            return found
        time.sleep(_LOOK_SECONDS)
    raise NetworkError(
        f"The study {study_instance_uid} is {found.get('state', 'not there')} after {seconds:g} s",
        hint="`sifnode status` follows it; --timeout waits longer",
    )


def anonymous(files: Sequence[Path]) -> tuple[list[Dataset], str]:
    """The images of one study under new identifiers and the test's name, and that study's UID.

    Raises:
        UnreadableInput: none of the files is an image.
    """
    known: dict[str, str] = {}
    study = [one for path in files if (one := _image(path)) is not None]
    if not study:
        raise UnreadableInput("There is no DICOM image to send")
    for one in study:
        one.PatientName, one.PatientID = _PATIENT, _PATIENT_ID
        one.StudyInstanceUID = known.setdefault("study", generate_uid(prefix=None))
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            if keyword in one:
                old = str(one[keyword].value)
                setattr(one, keyword, known.setdefault(old, generate_uid(prefix=None)))
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    return study, known["study"]


def _image(path: Path) -> Dataset | None:
    try:
        read = dcmread(path)
    except (InvalidDicomError, OSError):
        return None
    return read if "PixelData" in read else None


@contextmanager
def _images(folder: Path | None, seed: int) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="sifnode-test-") as made:
        if folder is None:
            _make(Path(made), seed)
        yield sorted(path for path in (folder or Path(made)).rglob("*") if path.is_file())


def _make(folder: Path, seed: int) -> None:
    """A synthetic case, by the other command: what runs on patients does not import it."""
    command = [sys.executable, "-m", "sifdetect.cli", "synth", "--cases", "1", "--quiet"]
    done = subprocess.run(
        [*command, "--seed", str(seed), "--out", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        raise SifdetectError("No synthetic study could be made", hint="Give a folder with images")
