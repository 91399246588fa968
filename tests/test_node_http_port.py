"""The HTTP port itself: who only waits keeps nobody out; TLS and client certificates."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_node import http_port
from dicom_node.config import HttpConfig
from dicom_node.http_port import HttpPort, tls_context
from dicom_node.tokens import SESSION_SECONDS, Sessions, read_token
from sifdetect.errors import ConfigurationError, NetworkError
from tests.node_http import BEARER, KIND, STUDIES, TOKEN, body_of, is_answered, serving
from tests.node_world import study

OPENSSL = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def certificate(tool: Callable[[str], Path], folder: Path, name: str) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [str(tool("openssl")), *OPENSSL, "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return str(made), str(key)


def trusting(made: str) -> ssl.SSLContext:
    """A client that trusts one certificate."""
    return ssl.create_default_context(cafile=made)


def test_idle_and_half_sent_requests_keep_nobody_out(tmp_path: Path) -> None:
    """300 connections that say nothing or half a header: a real study goes through all the same."""
    with serving(tmp_path) as port:
        waiting = []
        for number in range(300):
            line = socket.create_connection(("127.0.0.1", port.port), timeout=10)
            line.sendall(b"GET /healthz HT" if number % 2 else b"")
            waiting.append(line)
        assert port.store(body_of(study(2))).status == 200
        assert is_answered(port)
        gone = sum(_is_closed(line) for line in waiting)
        for line in waiting:
            line.close()
        assert 300 - http_port.MOST_CONNECTIONS <= gone < 100


def test_who_does_not_ask_in_time_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that keeps sending a header for ever, a byte at a time."""
    monkeypatch.setattr(http_port, "REQUEST_SECONDS", 0.5)
    with (
        serving(tmp_path) as port,
        socket.create_connection(("127.0.0.1", port.port), timeout=10) as line,
    ):
        begun = time.monotonic()
        line.settimeout(0.1)
        closed = False
        while not closed and time.monotonic() - begun < 20:
            try:
                line.sendall(b"G")
                closed = line.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
        assert closed


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    """400 after a bounded number of bytes."""
    with serving(tmp_path) as port:
        heard = port.say(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000)
        assert heard == b"" or heard.startswith(b"HTTP/1.1 4")
        assert is_answered(port)


def test_an_early_refusal_reaches_who_is_still_sending(tmp_path: Path) -> None:
    """401 arrives whole although the body is not wanted; the connection is not just reset."""
    with serving(tmp_path) as port:
        body = b"x" * (15 << 20)
        answer = port.ask(STUDIES, method="POST", body=body, headers={"Content-Type": KIND})
        assert (answer.status, answer.document) == (401, {"error": "A token is needed"})


def test_tls_is_spoken_and_nothing_older_than_1_2(
    tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """HTTPS with the certificate; TLS 1.1 and plain HTTP get no answer; the cookie is Secure."""
    made, key = certificate(tool, tmp_path, "node")
    with serving(tmp_path, certificate=made, key=key) as port:
        port.tls = trusting(made)
        assert port.ask("/healthz").status == 200
        assert port.store(body_of(study(1))).status == 200
        answer = port.submit("/login", token=TOKEN, origin=f"https://127.0.0.1:{port.port}")
        assert answer.headers["set-cookie"].startswith("__Host-sifnode=")
        assert "; Secure" in answer.headers["set-cookie"]
        assert b"HTTP/1.1 200" not in port.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        port.tls.minimum_version = ssl.TLSVersion.TLSv1
        port.tls.maximum_version = ssl.TLSVersion.TLSv1_1
        port.tls.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            port.ask("/healthz")


def test_a_client_certificate_is_as_good_as_the_token(
    tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """For STOW-RS, not for the page; without one, health still answers; a stranger's is refused."""
    made, key = certificate(tool, tmp_path, "node")
    known = certificate(tool, tmp_path, "scanner")
    stranger = certificate(tool, tmp_path, "stranger")
    headers = {"Content-Type": KIND}
    with serving(tmp_path, token="", certificate=made, key=key, client_ca=known[0]) as port:
        port.tls = trusting(made)
        assert port.ask("/healthz").status == 200
        assert port.ask(STUDIES, method="POST", headers=headers).status == 401
        port.tls = trusting(made)
        port.tls.load_cert_chain(*known)
        body = body_of(study(1))
        assert port.ask(STUDIES, method="POST", body=body, headers=headers).status == 200
        assert port.ask("/studies").status == 404
        port.tls = trusting(made)
        port.tls.load_cert_chain(*stranger)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            port.ask("/healthz")


def test_tls_that_nobody_handshakes_blocks_nobody(
    tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """40 connections that never begin the handshake."""
    made, key = certificate(tool, tmp_path, "node")
    with serving(tmp_path, certificate=made, key=key) as port:
        port.tls = trusting(made)
        lines = [socket.create_connection(("127.0.0.1", port.port)) for _ in range(40)]
        assert port.ask("/healthz", headers=BEARER).status == 200
        for line in lines:
            line.close()


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Each with one sentence: a key alone, a file that is none, a port that is taken."""
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    for settings in ({"key": "a"}, {"client_ca": "a"}, {"certificate": str(rubbish)}):
        with pytest.raises(ConfigurationError):
            tls_context(HttpConfig(**settings))  # type: ignore[arg-type]  # a table of texts
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = HttpConfig(port=taken.getsockname()[1])
        with pytest.raises(NetworkError, match="cannot listen"):
            HttpPort(config, None).start()


def test_a_token_is_private_and_long(tmp_path: Path) -> None:
    """A file that others may read, a short token, an empty file and no file are refused."""
    file = tmp_path / "token"
    assert read_token("") is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(str(file))
    for text, mode in (("short", 0o600), ("", 0o600), ("é" * 40, 0o600), ("a b" * 20, 0o600)):
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(ConfigurationError):
            read_token(str(file))
    file.write_text(f"{TOKEN}\nignored\n")
    file.chmod(stat.S_IRUSR | stat.S_IRGRP)
    with pytest.raises(ConfigurationError, match="read by others"):
        read_token(str(file))
    file.chmod(0o400)
    token = read_token(str(file))
    assert token is not None
    assert (token.is_same(TOKEN), token.is_same(TOKEN + "x")) == (True, False)
    assert (token.admits(f"bearer {TOKEN}"), token.admits(TOKEN)) == (True, False)


def test_a_session_ends_by_itself_and_by_logging_out() -> None:
    """After eight hours, or at once; another session's form is none of this one's."""
    clock = [100.0]
    sessions = Sessions(lambda: clock[0])
    first, second = sessions.open(), sessions.open()
    assert sessions.is_own_form(first, sessions.form_key(first))
    assert not sessions.is_own_form(first, sessions.form_key(second))
    assert not sessions.is_own_form(first, "")
    sessions.close(second)
    assert (sessions.is_open(first), sessions.is_open(second)) == (True, False)
    clock[0] += SESSION_SECONDS + 1
    assert not sessions.is_open(first)
    assert not sessions.is_open("")


def test_sessions_take_no_endless_room() -> None:
    """The oldest makes room for the thousand and first."""
    sessions = Sessions()
    names = [sessions.open() for _ in range(1001)]
    assert [sessions.is_open(name) for name in (names[0], names[1], names[-1])] == [
        False,
        True,
        True,
    ]


def _is_closed(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
