"""Authorities and certificates that live as long as a test run, made by Debian's openssl."""

from __future__ import annotations

import ssl
import subprocess
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import find_tool

_FOLDER = TemporaryDirectory(prefix="certificates-")
_SUBJECT = "/O=Test/CN="
_CURVE = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM files."""

    certificate: str
    key: str


def authority(name: str) -> str:
    """The certificate of an authority of that name, which signs what ``pair`` makes."""
    return _authority(name).certificate


@cache
def pair(name: str, signed_by: str = "clinic", *, days: int = 30, usage: str = "") -> Pair:
    """A certificate for ``name`` on this machine, signed by an authority, for some usage alone."""
    made, signer = _files(f"{signed_by}-{name}-{days}-{usage}"), _authority(signed_by)
    request, extensions = Path(made.key).with_suffix(".csr"), Path(made.key).with_suffix(".ext")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
    extensions.write_text(names + (f"extendedKeyUsage={usage}\n" if usage else ""))
    _openssl(
        *("req", "-new", "-newkey", *_CURVE, "-nodes", "-subj", _SUBJECT + name),
        *("-keyout", made.key, "-out", str(request)),
    )
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", signer.certificate, "-CAkey", signer.key),
        *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions)),
        *("-out", made.certificate),
    )
    return made


def secured(**more: Any) -> dict[str, Any]:
    """Settings of a listener that speaks TLS and asks senders for a certificate."""
    own = pair("node")
    files = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_ca": authority("clinic")}
    return {**files, **more}


def revoking(*revoked: Pair, name: str = "clinic") -> str:
    """The certificate of an authority, followed by its list of revoked certificates."""
    signer, folder = _authority(name), Path(_FOLDER.name) / f"crl-{len(revoked)}"
    folder.mkdir(exist_ok=True)
    lines = [f"R\t401231235959Z\t200101000000Z\t{_serial(one)}\tunknown\t/CN=x" for one in revoked]
    (folder / "index.txt").write_text("".join(f"{line}\n" for line in lines))
    settings, made = folder / "ca.cnf", folder / "ca.pem"
    settings.write_text(
        f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index.txt\n"
        "default_md=sha256\ndefault_crl_days=30\n"
    )
    _openssl(
        *("ca", "-gencrl", "-config", str(settings), "-keyfile", signer.key),
        *("-cert", signer.certificate, "-out", str(folder / "crl.pem")),
    )
    crl = (folder / "crl.pem").read_text()
    made.write_text(Path(signer.certificate).read_text() + crl)
    return str(made)


def _serial(one: Pair) -> str:
    command = [str(find_tool("openssl")), "x509", "-in", one.certificate, "-noout", "-serial"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip().partition("=")[2]


def old_client(secured_by: Pair, authority_file: str) -> ssl.SSLContext:
    """A client that knows nothing newer than TLS 1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_verify_locations(authority_file)
    context.load_cert_chain(secured_by.certificate, secured_by.key)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@cache
def _authority(name: str) -> Pair:
    made = _files(f"authority-{name}")
    _openssl(
        *("req", "-x509", "-newkey", *_CURVE, "-nodes", "-days", "30"),
        *("-subj", _SUBJECT + name, "-keyout", made.key, "-out", made.certificate),
    )
    return made


def _files(name: str) -> Pair:
    stem = Path(_FOLDER.name) / name
    return Pair(str(stem.with_suffix(".pem")), str(stem.with_suffix(".key")))


def _openssl(*arguments: str) -> None:
    command = [str(find_tool("openssl")), *arguments]
    subprocess.run(command, check=True, capture_output=True)
