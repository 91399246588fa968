"""Certificates are renewed while the node runs: what begins then gets the new, all else goes on."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import astuple, dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_node import logs
from dicom_node.config import DicomConfig
from dicom_node.keyring import Keyring, dicom_keyring, rehearse
from dicom_node.tls import server_context
from sifdetect.errors import ConfigurationError
from tests import node_world as world
from tests.certificates import Pair, authority, pair, secured


@dataclass(frozen=True)
class Place:
    """Where a node's certificate and key lie, to be replaced."""

    certificate: Path
    key: Path

    def take(self, certificate: str, key: str) -> None:
        """Put files there as a client of an authority does: written beside, then renamed."""
        for file, source in ((self.certificate, certificate), (self.key, key)):
            shutil.copy(source, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)

    @property
    def keys(self) -> dict[str, Any]:
        """The settings of a listener."""
        return secured(tls_certificate=str(self.certificate), tls_key=str(self.key))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The node's files, with an ordinary pair in them."""
    made = Place(tmp_path / "own.pem", tmp_path / "own.key")
    own = pair("node")
    made.take(own.certificate, own.key)
    return made


@pytest.fixture
def told(tmp_path: Path) -> io.StringIO:
    """What the log says."""
    stream = io.StringIO()
    logs.set_up("info", stream)
    return stream


def shown(port: int) -> bytes:
    """The certificate that a port shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        client().wrap_socket(plain, server_hostname="localhost") as line,
    ):
        return line.getpeercert(binary_form=True) or b""


def client() -> ssl.SSLContext:
    """A sender of the clinic."""
    context = ssl.create_default_context(cafile=authority("clinic"))
    own = pair("scanner")
    context.load_cert_chain(own.certificate, own.key)
    return context


def der(made: Pair) -> bytes:
    """A certificate as it goes over the line."""
    return ssl.PEM_cert_to_DER_cert(Path(made.certificate).read_text())


def events(told: io.StringIO, name: str) -> list[dict[str, object]]:
    """The log lines of one event."""
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    return [line for line in lines if line["event"] == name]


def test_files_are_read_when_both_have_changed_and_keep_still(
    place: Place, told: io.StringIO
) -> None:
    """Not between the two renames, where they are no pair; and not again for nothing."""
    ring, new = dicom_keyring(DicomConfig(**place.keys)), pair("renewed", days=60)
    first, ends = ring.context, ring.expires
    ring.look()
    assert ring.context is first
    place.take(new.certificate, pair("node").key)
    ring.look()
    place.take(new.certificate, new.key)
    ring.look()
    assert (ring.context, events(told, "certificate refused")) == (first, [])
    ring.look()
    second = ring.context
    assert second is not first
    assert ring.expires is not None
    assert ends is not None
    assert round((ring.expires - ends) / 86400) == 30
    ring.look()
    assert ring.context is second
    assert len(events(told, "certificate read again")) == 1


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (lambda: (pair("renewed").certificate, pair("scanner").key), "key values mismatch"),
        (lambda: astuple(pair("renewed", days=0)), "certificate has expired"),
        (lambda: (__file__, pair("renewed").key), "cannot be used"),
        (lambda: (os.devnull, os.devnull), "cannot be used"),
    ],
    ids=["another's key", "out of date", "no certificate", "nothing"],
)
def test_a_bad_pair_is_refused_once_in_a_sentence(
    place: Place, told: io.StringIO, files: Callable[[], tuple[str, str]], reason: str
) -> None:
    """What was read before goes on, until there is a good one."""
    ring = dicom_keyring(DicomConfig(**place.keys))
    first = ring.context
    place.take(*files())
    for _ in range(4):
        ring.look()
    assert ring.context is first
    (line,) = events(told, "certificate refused")
    assert reason in str(line["reason"])
    assert str(line["reason"]).endswith("; what was read before goes on")
    assert "\n" not in str(line["reason"])
    good = pair("renewed", days=60)
    place.take(good.certificate, good.key)
    ring.look()
    ring.look()
    assert ring.context is not first


def test_a_certificate_for_clients_alone_is_none_for_a_port(tmp_path: Path) -> None:
    """The handshake in memory says so before a sender does."""
    made = pair("reader", usage="clientAuth")
    context = server_context(
        DicomConfig(**secured(tls_certificate=made.certificate, tls_key=made.key))
    )
    assert context is not None
    with pytest.raises(ConfigurationError, match="purpose"):
        rehearse(context, Path(made.certificate))


def test_a_port_without_tls_has_nothing_to_renew(told: io.StringIO) -> None:
    """Asked to read its files again it says nothing."""
    ring = Keyring("DICOM", ("", ""), lambda: None)
    ring.look()
    ring.renew()
    assert (ring.context, ring.expires, told.getvalue()) == (None, None, "")


@pytest.mark.fault
def test_a_running_node_renews_its_certificates(tmp_path: Path, place: Place) -> None:
    """Three ports show the new certificate; an association and an HTTP connection live through it.

    Then a bad pair comes with SIGHUP: one line for each listener, and all goes on.
    """
    datasets, renewed = world.study(3), pair("renewed", days=60)
    with world.node(tmp_path, destinations={"PACS": 1}, **_settings(place)) as node:
        ports = [int(node.ready[name]) for name in ("port", "http_port", "commit_port")]
        assert [shown(port) for port in ports] == 3 * [der(pair("node"))]
        association, web = _association(node.port, datasets[0]), _web(ports[1])
        assert (_stored(association, datasets[0]), _asked(web)) == (0, 200)

        place.take(renewed.certificate, renewed.key)
        _wait(node, "certificate read again", 2)
        assert [shown(port) for port in ports] == 3 * [der(renewed)]
        assert (_stored(association, datasets[1]), _asked(web)) == (0, 200)

        place.take(renewed.certificate, pair("scanner").key)
        node.process.send_signal(signal.SIGHUP)
        _wait(node, "certificate refused", 2)
        assert [shown(port) for port in ports] == 3 * [der(renewed)]
        assert (_stored(association, datasets[2]), _asked(web)) == (0, 200)
        association.release()
        web.close()
        assert node.stop() == os.EX_OK
        assert node.events("connection dropped") == []
        assert {line["listener"] for line in node.events("certificate refused")} == {
            "DICOM",
            "HTTP",
        }


def _settings(place: Place) -> dict[str, str]:
    dicom = {f"DICOM_{key.upper()}": value for key, value in place.keys.items()}
    http = {"HTTP_CERTIFICATE": str(place.certificate), "HTTP_KEY": str(place.key)}
    return {**dicom, **http, "DESTINATION_PACS_COMMIT": "true", "COMMIT_PORT": "0"}


def _association(port: int, dataset: Dataset) -> Association:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    made = entity.associate(
        "127.0.0.1", port, ae_title="SIFDETECT", tls_args=(client(), "localhost")
    )
    assert made.is_established
    return made


def _stored(association: Association, dataset: Dataset) -> int:
    return int(association.send_c_store(dataset).get("Status", -1))


def _web(port: int) -> HTTPSConnection:
    return HTTPSConnection("127.0.0.1", port, timeout=30, context=client())


def _asked(web: HTTPSConnection) -> int:
    """The status of one more request; the connection stays the same one."""
    before = web.sock
    web.request("GET", "/metrics")
    answer = web.getresponse()
    assert b"sifnode_certificate_expires_timestamp_seconds{" in answer.read()
    assert before is None or web.sock is before
    return answer.status


def _wait(node: world.Node, event: str, count: int) -> None:
    world.wait_until(
        lambda: node.events(event), lambda lines: len(lines) >= count, trouble=node.log
    )
