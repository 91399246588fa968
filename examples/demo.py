"""The main job in one go: a synthetic study is pushed to the node, and its report comes back.

Everything is real but the patient: DICOM files, C-STORE over TCP, the node as its own process, the
trained models. All of it stays on this machine (loopback, free ports), and what was started is
stopped again. ``make demo`` runs this; see ``out/demo/index.html`` afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from demo_page import show, write_page
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt

from dicom_node.network import prepare_library
from sifdetect.findings import StudyFindings, from_json

NODE_TITLE = "SIFDETECT"
RECEIVER_TITLE = "DEMO"
START_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 600.0
PICTURE_AFTER_TEXT_S = 5.0
PROGRAMS = Path(sys.executable).parent
KINDS = {
    Comprehensive3DSRStorage: "sr",
    EnhancedSRStorage: "sr",
    SegmentationStorage: "seg",
    SecondaryCaptureImageStorage: "summary",
}
"""What a result is called among the files, by its SOP class."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; the exit code is 0 when an answer came back."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the node is stopped then too
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    started = time.monotonic()
    prepare_library()
    truth = _make_study(out, options.seed)
    results = out / "results"
    with _receiver(results) as results_port, _node(out, results_port) as node_port:
        images = _push(out / "study", node_port)
        _say(f"{images} images sent to the node by C-STORE; waiting for its answer")
        received = _await(results)
    print(show(truth, received))
    page = write_page(out, truth, received)
    _say(f"{time.monotonic() - started:.0f} s in all. Look at {page}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="is made anew")
    parser.add_argument("--seed", type=int, default=13, help="of the synthetic patient")
    return parser.parse_args(arguments)


def _make_study(out: Path, seed: int) -> StudyFindings:
    """A CT and MR study as DICOM files in ``out/study``, and the truth about it."""
    _say(f"making a synthetic CT and MR study (seed {seed})")
    made = out / "synthetic"
    program = PROGRAMS / "sifdetect"
    subprocess.run(
        [program, "synth", "--out", made, "--cases", "1", "--seed", str(seed)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    case = next(made.iterdir())
    truth = from_json(json.loads((case / "truth.json").read_text(encoding="utf-8")))
    os.replace(case / "dicom", out / "study")
    os.replace(case / "truth.json", out / "truth.json")
    shutil.rmtree(made)
    return truth


@contextmanager
def _receiver(folder: Path) -> Iterator[int]:
    """A storage SCP that writes what it gets into ``folder``; gives its port."""
    folder.mkdir()

    def store(event: evt.Event) -> int:
        kind = KINDS.get(event.file_meta.MediaStorageSOPClassUID, "object")
        number = 1 + sum(1 for _ in folder.glob(f"{kind}-*.dcm"))
        partial = folder / f"{kind}-{number}.part"
        partial.write_bytes(event.encoded_dataset())
        os.replace(partial, partial.with_suffix(".dcm"))
        return 0x0000  # Success (PS3.4 Table B.2-1)

    entity = AE(ae_title=RECEIVER_TITLE)
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


@contextmanager
def _node(out: Path, results_port: int) -> Iterator[int]:
    """``sifnode serve`` with its embedded store below ``out``; gives its DICOM port."""
    port = _free_port()
    configuration = out / "sifnode.toml"
    configuration.write_text(_configuration(out / "spool", port, results_port))
    with (out / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAMS / "sifnode", "serve", "--config", configuration], stdout=log, stderr=log
        )
    try:
        _await_echo(port, process)
        _say(f"the node listens on port {port}")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configuration(spool: Path, port: int, results_port: int) -> str:
    return f"""[dicom]
ae_title = "{NODE_TITLE}"
port = {port}

[http]
enabled = false

[storage]
folder = {json.dumps(str(spool.resolve()))}
min_free_mb = 100

[study]
quiet_seconds = 2.0

[destination.demo]
host = "127.0.0.1"
port = {results_port}
ae_title = "{RECEIVER_TITLE}"
"""


def _await_echo(port: int, process: subprocess.Popen[bytes]) -> None:
    entity = AE(ae_title=RECEIVER_TITLE)
    entity.add_requested_context("1.2.840.10008.1.1")  # Verification
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        association = entity.associate("127.0.0.1", port, ae_title=NODE_TITLE)
        if association.is_established:
            association.release()
            return
        time.sleep(0.3)
    raise SystemExit("demo: the node did not start; see node.log in the output folder")


def _push(study: Path, port: int) -> int:
    """Send every file of the study in one association; gives their number."""
    paths = sorted(study.rglob("*.dcm"))
    kinds = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in map(_meta, paths)}
    entity = AE(ae_title=RECEIVER_TITLE)
    entity.requested_contexts = [build_context(kind, syntax) for kind, syntax in sorted(kinds)]
    association = entity.associate("127.0.0.1", port, ae_title=NODE_TITLE)
    if not association.is_established:
        raise SystemExit("demo: the node refused the association")
    for path in paths:
        status = association.send_c_store(path)
        if status.get("Status") != 0x0000:
            raise SystemExit(f"demo: the node refused {path.name} with {status}")
    association.release()
    return len(paths)


def _meta(path: Path) -> pydicom.dataset.FileMetaDataset:
    return pydicom.filereader.read_file_meta_info(path)


def _await(results: Path) -> Sequence[pydicom.Dataset]:
    """Wait until the answer has arrived, and read it.

    A fracture is answered by report, segmentation and picture; anything else by a text report, and
    a picture where the sacrum was found.
    """
    whole = {Comprehensive3DSRStorage, SegmentationStorage, SecondaryCaptureImageStorage}
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline:
        classes = {item.SOPClassUID for item in _received(results)}
        if whole <= classes:
            return _received(results)
        if EnhancedSRStorage in classes:
            time.sleep(PICTURE_AFTER_TEXT_S)
            return _received(results)
        time.sleep(0.5)
    raise SystemExit("demo: no answer came back; see node.log in the output folder")


def _received(results: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(results.glob("*.dcm"))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
