"""TLS to destinations, its settings, and the port for storage commitment."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dicom_node.checks import check_all
from dicom_node.commit import CommitListener, Commitments
from dicom_node.config import (
    CommitConfig,
    Config,
    Destination,
    DicomConfig,
    HttpConfig,
    StorageConfig,
    load,
)
from dicom_node.send import echo, send
from dicom_node.tls import server_context
from dicom_node.trial import send_test
from sifdetect.errors import ConfigurationError, NetworkError
from tests import node_world as world
from tests.certificates import authority, pair, revoking, secured
from tests.node_receiver import receiving
from tests.ports import free_port, wait_until_it_listens


def destination(port: int, **more: Any) -> Destination:
    """A peer on this machine that is called over TLS."""
    own = pair("node")
    files = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_ca": authority("clinic")}
    keys = {**files, "ae_title": "SIFDETECT", **more}
    return Destination(host="127.0.0.1", port=port, tls=True, **keys)


@pytest.mark.e2e
def test_results_go_to_dcmtk_over_tls(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    """storescp +tls asks for a certificate and gets the node's; a plain sender gets nothing in."""
    port, pacs, own = free_port(), tmp_path / "pacs", pair("pacs")
    pacs.mkdir()
    command = [str(tool("storescp")), "+tls", own.key, own.certificate]
    command += ["+cf", authority("clinic"), "-od", str(pacs), str(port)]
    folder = world.files(world.study(2), tmp_path / "results")
    files = sorted(folder.iterdir())
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scp:
        try:
            wait_until_it_listens(port, scp)
            answers = send(destination(port), files, own_title="SIFDETECT", timeout_seconds=10)
            assert [one.accepted for one in answers] == [True, True]
            with pytest.raises(NetworkError):
                echo(Destination(host="127.0.0.1", port=port), own_title="X", timeout_seconds=5)
        finally:
            scp.kill()
    assert len(list(pacs.iterdir())) == 2


def test_a_destination_has_to_be_who_it_says(tmp_path: Path) -> None:
    """Another authority, another name, no certificate of ours: each is told in one sentence."""
    expected = {
        "self-signed certificate in": {"tls_ca": authority("elsewhere")},
        "mismatch": {"tls_name": "pacs.clinic.example"},
        "certificate required": {"tls_certificate": "", "tls_key": ""},
    }
    with receiving(tmp_path, **secured()) as one:
        for told, keys in expected.items():
            with pytest.raises(NetworkError, match=told):
                echo(destination(one.port, **keys), own_title="X", timeout_seconds=10)
        for name in ("", "localhost", "*"):
            echo(destination(one.port, tls_name=name), own_title="X", timeout_seconds=10)


def test_a_revoked_certificate_lets_nobody_in(tmp_path: Path) -> None:
    """A list of the authority beside its certificate is asked; who is not on it comes in."""
    lost = pair("lost")
    authorities = revoking(lost)
    with receiving(tmp_path, **secured(tls_ca=authorities)) as one:
        echo(destination(one.port), own_title="X", timeout_seconds=10)
        shown = {"tls_certificate": lost.certificate, "tls_key": lost.key}
        with pytest.raises(NetworkError, match="revoked"):
            echo(destination(one.port, **shown), own_title="X", timeout_seconds=10)


def test_a_trial_goes_to_a_node_that_takes_tls_alone(tmp_path: Path) -> None:
    """It shows the node's own certificate, and takes no other node for it."""
    images = world.files(world.study(2), tmp_path / "images")
    keys = secured()
    settings = {f"DICOM_{key.upper()}": value for key, value in keys.items()}
    with world.node(tmp_path, **settings) as node:
        storage = StorageConfig(folder=node.folder)
        config = Config(dicom=DicomConfig(**keys), storage=storage)
        told = send_test(config, folder=images, seed=1, wait_seconds=120)
        assert (told["images"], told["study"]["state"]) == (2, "sent")
        other = pair("other")
        mixed = secured(tls_certificate=other.certificate, tls_key=other.key)
        posing = Config(dicom=DicomConfig(**mixed), storage=storage)
        with pytest.raises(NetworkError, match="could not be reached"):
            send_test(posing, folder=images, seed=1, wait_seconds=1)


def test_check_looks_at_the_keys_of_the_http_port(tmp_path: Path) -> None:
    """A token that others may read, a key that is none: each is one line of `sifnode check`."""
    token = tmp_path / "token"
    token.write_text("x" * 40)
    token.chmod(0o644)
    own = pair("node")
    wrong = {
        "may be read by others": HttpConfig(port=0, token_file=str(token)),
        "cannot be read": HttpConfig(port=0, token_file=str(tmp_path / "none")),
        "cannot be used": HttpConfig(port=0, certificate=own.certificate, key=str(token)),
        "": HttpConfig(port=0, certificate=own.certificate, key=own.key),
    }
    for told, http in wrong.items():
        storage = StorageConfig(folder=tmp_path / "node")
        (found,) = [
            one
            for one in check_all(Config(http=http, storage=storage, dicom=DicomConfig(port=0)))
            if one.name == "HTTP keys"
        ]
        assert told in found.trouble
        assert bool(found.trouble) == bool(told)


@contextmanager
def web_service() -> Iterator[int]:
    """A DICOMweb service that finds no study, and asks for a certificate; gives its port."""

    class Nothing(BaseHTTPRequestHandler):
        """Answers each search so."""

        def do_GET(self) -> None:
            """An empty list."""
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        """Troubles of visitors are theirs."""

        def handle_error(self, *_: object) -> None:
            """Say nothing."""

    context = server_context(DicomConfig(**secured()))
    assert context is not None
    with Server(("127.0.0.1", 0), Nothing) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def test_a_web_service_is_judged_by_the_same_keys() -> None:
    """Its authority, its name, our certificate; the reason stands in the sentence."""
    own = pair("node")
    files = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_ca": authority("clinic")}
    with web_service() as port:
        echo(_web(port, **files), own_title="X", timeout_seconds=10)
        for keys, told in (
            ({"tls_ca": authority("elsewhere")}, "certificate verify failed"),
            ({"tls_ca": ""}, "certificate verify failed"),
            ({"tls_certificate": "", "tls_key": ""}, "could not be reached"),
        ):
            with pytest.raises(NetworkError, match=told):
                echo(_web(port, **{**files, **keys}), own_title="X", timeout_seconds=10)


def _web(port: int, **keys: str) -> Destination:
    return Destination(url=f"https://127.0.0.1:{port}/dicom-web", **keys)  # type: ignore[arg-type]  # all text


def test_storage_commitment_is_reported_over_tls_as_well(tmp_path: Path) -> None:
    """The port for it speaks TLS where the node does, and plain archives are turned away."""
    config = Config(
        dicom=DicomConfig(**secured()),
        commit=CommitConfig(port=0),
        storage=StorageConfig(folder=tmp_path),
    )
    listener = CommitListener(config, Commitments(tmp_path), lambda _: None)
    port = listener.start()
    try:
        echo(destination(port), own_title="ARCHIVE", timeout_seconds=10)
        with pytest.raises(NetworkError):
            echo(Destination(host="127.0.0.1", port=port), own_title="X", timeout_seconds=5)
    finally:
        listener.stop()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("[dicom]\ntls_key = 'x'", "go together"),
        ("[dicom]\ntls_key = 'x'\ntls_certificate = 'x'", "dicom.tls_ca is empty"),
        ("[dicom]\ntls_ca = 'x'", "of no use without tls_certificate"),
        ("[destination.A]\nhost = 'a'\ntls_ca = 'x'", "keys of TLS, and tls is false"),
        ("[destination.A]\nhost = 'a'\ntls = true\ntls_key = 'x'", "go together"),
        ("[destination.A]\nurl = 'https://a'\ntls_name = 'b'", "are not for a url"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, keys: str, told: str) -> None:
    """Before the node starts, naming the key."""
    file = tmp_path / "sifnode.toml"
    file.write_text(keys)
    with pytest.raises(ConfigurationError, match=told):
        load(file, environment={})


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    """Absent, no PEM, the key of another certificate, an encrypted key: one sentence each."""
    own, other, locked = pair("node"), pair("scanner"), tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", own.key, "-out", str(locked)],
        check=True,
        capture_output=True,
    )
    for keys, told in (
        ({"tls_certificate": str(tmp_path / "none.pem")}, "No such file"),
        ({"tls_certificate": __file__}, "cannot be used"),
        ({"tls_key": other.key}, "key values mismatch"),
        ({"tls_key": str(locked)}, "encrypted"),
        ({"tls_ca": __file__}, "cannot be used"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            server_context(DicomConfig(**secured(**keys)))
