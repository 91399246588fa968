"""DICOM over TLS in both directions: who gets through, who does not, and what is said of it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from pynetdicom import AE

from dicom_node.config import DicomConfig
from dicom_node.tls import server_context
from tests import dialogue
from tests import node_world as world
from tests.certificates import authority, old_client, pair, secured
from tests.node_receiver import echoes, receiving

TLS_1_2 = "ECDHE-ECDSA-AES128-GCM-SHA256"


def as_sender(name: str = "scanner", signed_by: str = "clinic") -> list[str]:
    """The options of dcmtk for a sender with a certificate."""
    own = pair(name, signed_by)
    return ["+tls", own.key, own.certificate, "+cf", authority("clinic")]


def client(*, with_certificate: bool = True) -> ssl.SSLContext:
    """An ordinary client that trusts the clinic."""
    context = ssl.create_default_context(cafile=authority("clinic"))
    if with_certificate:
        own = pair("scanner")
        context.load_cert_chain(own.certificate, own.key)
    return context


def stores(tool: Callable[[str], Path], folder: Path, port: int, *options: str) -> bool:
    """Whether dcmtk's storescu can send a folder with these options."""
    command = [str(tool("storescu")), "-to", "10", "-aec", "SIFDETECT", *options, "+sd"]
    done = subprocess.run(
        [*command, "127.0.0.1", str(port), str(folder)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.e2e
def test_dcmtk_sends_over_tls(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    """storescu +tls with a certificate of the clinic; C-ECHO, which pynetdicom serves, as well."""
    folder = world.files(world.study(3), tmp_path / "sent")
    with receiving(tmp_path, **secured()) as one:
        assert stores(tool, folder, one.port, *as_sender())
        assert echoes(tool, one.port, "-aec", "SIFDETECT", *as_sender())
        assert len(one.stored()) == 3
        assert one.events("connection dropped") == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (lambda: ["+tla", "+cf", authority("clinic")], "peer did not return a certificate"),
        (lambda: as_sender("stranger", "elsewhere"), "unable to get local issuer certificate"),
        (lambda: [], "wrong version number"),
    ],
    ids=["no certificate", "another authority", "no TLS"],
)
def test_dcmtk_without_a_certificate_of_the_clinic_is_refused(
    tmp_path: Path,
    tool: Callable[[str], Path],
    options: Callable[[], list[str]],
    reason: str,
) -> None:
    """Nothing is stored, and one line of the log says why."""
    folder = world.files(world.study(1), tmp_path / "sent")
    with receiving(tmp_path, **secured()) as one:
        assert not stores(tool, folder, one.port, *options())
        assert not echoes(tool, one.port, "-aec", "SIFDETECT", *options())
        assert one.stored() == []
        told = [str(line["reason"]) for line in one.events("connection dropped")]
        assert len(told) == 2
        assert all(reason in line for line in told), told


@pytest.mark.e2e
def test_without_mutual_tls_nobody_has_to_show_a_certificate(
    tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    """The connection is encrypted, and the sender may be anybody."""
    folder = world.files(world.study(1), tmp_path / "sent")
    with receiving(tmp_path, **secured(tls_ca="", tls_mutual=False)) as one:
        assert stores(tool, folder, one.port, "+tla", "+cf", authority("clinic"))
        assert len(one.stored()) == 1


def test_pynetdicom_sends_over_tls_1_3(tmp_path: Path) -> None:
    """And hears the node's close at the end."""
    (made,) = world.study(1, PixelData=bytes(300_000))
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(made.SOPClassUID, dialogue.EXPLICIT)
    with receiving(tmp_path, **secured()) as one:
        association = entity.associate(
            "127.0.0.1", one.port, ae_title="SIFDETECT", tls_args=(client(), "localhost")
        )
        transport = association.dul.socket
        assert transport is not None
        assert isinstance(transport.socket, ssl.SSLSocket)
        assert transport.socket.version() == "TLSv1.3"
        assert association.send_c_store(made).Status == 0
        association.release()
        assert len(one.stored()) == 1


def test_the_profile_is_that_of_bcp_195(tmp_path: Path) -> None:
    """TLS 1.2 with forward secrecy and AEAD; without them, and before 1.2, there is no handshake.

    RFC 9325 3.1.1 and 4.2; PS3.15 B.12.
    """
    listener = server_context(DicomConfig(**secured()))
    assert listener is not None
    names = {one["name"] for one in listener.get_ciphers()}
    assert all(
        name.startswith(("TLS_", "ECDHE-")) and "GCM" in name
        for name in names - {"TLS_CHACHA20_POLY1305_SHA256"}
    )
    with receiving(tmp_path, **secured()) as one:
        assert agreed(one.port, limited(client(), TLS_1_2)) == "TLSv1.2"
        assert agreed(one.port, client()) == "TLSv1.3"
        for weak in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA"):
            assert "handshake failure" in agreed(one.port, limited(client(), weak))
        old = old_client(pair("scanner"), authority("clinic"))
        assert "alert" in agreed(one.port, old)
        last = world.wait_until(
            lambda: str(one.events("connection dropped")[-1]["reason"]),
            lambda told: told != "TLS: no shared cipher",
            trouble=tmp_path / "none",
        )
        assert last == "TLS: unsupported protocol"


def limited(context: ssl.SSLContext, cipher: str) -> ssl.SSLContext:
    """The client with one cipher suite of TLS 1.2."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    return context


def agreed(port: int, context: ssl.SSLContext) -> str:
    """The version that a client and the node agree on, or why they do not."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as transport:
                transport.sendall(dialogue.request() + dialogue.RELEASE)
                return str(transport.version()) if transport.recv(1) else "nothing came"
        except ssl.SSLError as error:
            return str(error.reason).lower().replace("_", " ")


@pytest.mark.fault
def test_who_connects_and_never_speaks_keeps_nobody_out(tmp_path: Path) -> None:
    """Forty that say nothing and forty that stop in the middle of their hello."""
    with receiving(tmp_path, **secured(timeout_seconds=30.0)) as one, ExitStack() as silent:
        for number in range(80):
            visitor = socket.create_connection(("127.0.0.1", one.port), timeout=30)
            silent.enter_context(visitor)
            if number % 2:
                visitor.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert agreed(one.port, client()) == "TLSv1.3"


@pytest.mark.fault
def test_a_handshake_has_to_end_in_time(tmp_path: Path) -> None:
    """Who does not finish it is hung up on, and the log says so."""
    with receiving(tmp_path, **secured(timeout_seconds=1.0)) as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=30) as visitor:
            assert visitor.recv(1) == b""
        assert one.events("connection dropped")[0]["reason"] == "TLS: no handshake in time"


@pytest.mark.fault
def test_stopping_ends_associations_over_tls(tmp_path: Path) -> None:
    """The sender hears an alert or the end, and half an instance leaves nothing."""
    with receiving(tmp_path, **secured()) as one:
        with (
            socket.create_connection(("127.0.0.1", one.port), timeout=30) as plain,
            client().wrap_socket(plain, server_hostname="localhost") as visitor,
        ):
            visitor.sendall(dialogue.store()[:1200])
            heard = visitor.recv(4096)
            one.receiver.stop()
            with suppress(ssl.SSLError):
                assert visitor.recv(4096) == b""
        assert [kind for kind, _ in dialogue.split(heard)] == [dialogue.ACCEPTED]
        assert not list(one.spool.folder.rglob("*.part"))
