"""TLS of both directions of the DICOM network: the BCP 195 profile of PS3.15 B.12.

TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, no compression, no
renegotiation; without a downgrade to plain DICOM: a port speaks TLS or it does not.
Source: RFC 9325 sections 3 and 4 (BCP 195), RFC 8996; PS3.15 B.12.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_node.settings import text
from sifdetect.errors import ConfigurationError

CIPHERS = (  # RFC 9325 4.2; those of TLS 1.3 (RFC 8446 B.4) are all allowed
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""Cipher suites of TLS 1.2, in OpenSSL's names."""

ANY_NAME = "*"
PREFIX = "TLS: "
"""What the reasons begin with."""
_SECURITY_LEVEL = 2  # of OpenSSL: RSA from 2048 bits, curves from 224, no SHA-1 signatures
_CRL = b"-----BEGIN X509 CRL-----"
_FILE = r"|[^\0]{1,4000}"
_NAME = r"|\*|[A-Za-z0-9._:-]{1,253}"


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """Keys of a listener; without a certificate it speaks plain DICOM.

    Attributes:
        tls_certificate, tls_key: PEM files: the node's certificate, followed by those between it
            and its authority, and the key, which is not encrypted.
        tls_ca: PEM file of the authorities that sign the certificates of senders; where it holds
            revocation lists, one is asked for each certificate that is shown.
        tls_mutual: whether a sender has to show such a certificate.
    """

    tls_certificate: str = text("", _FILE)
    tls_key: str = text("", _FILE)
    tls_ca: str = text("", _FILE)
    tls_mutual: bool = True


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """Keys of a peer that is called; for a DICOMweb service https says so, and ``tls`` does not.

    Attributes:
        tls_certificate, tls_key: what the node shows where the peer asks for it.
        tls_ca: the authorities that may sign the peer's certificate, or that certificate itself;
            empty for the system's authorities.
        tls_name: the name that the certificate has to hold; empty for the host, ``*`` for any.
    """

    tls: bool = False
    tls_certificate: str = text("", _FILE)
    tls_key: str = text("", _FILE)
    tls_ca: str = text("", _FILE)
    tls_name: str = text("", _NAME)


def check_server(keys: ServerTls, where: str) -> None:
    """Refuse keys that cannot be meant.

    Raises:
        ConfigurationError: half a pair, or nobody who could sign the certificates of senders.
    """
    _check_pair(keys.tls_certificate, keys.tls_key, f"{where}: dicom")
    if keys.tls_certificate and keys.tls_mutual and not keys.tls_ca:
        raise ConfigurationError(
            f"{where}: dicom.tls_mutual asks senders for certificates, and dicom.tls_ca is empty",
            hint="Name the file of the authority that signs them, or set tls_mutual = false",
        )
    if keys.tls_ca and not keys.tls_certificate:
        raise ConfigurationError(f"{where}: dicom.tls_ca is of no use without tls_certificate")


def check_client(keys: ClientTls, is_web: bool, where: str) -> None:
    """Refuse keys that cannot be meant.

    Raises:
        ConfigurationError: half a pair, or keys of TLS where there is none.
    """
    _check_pair(keys.tls_certificate, keys.tls_key, where)
    others = keys.tls_certificate or keys.tls_ca or keys.tls_name
    if others and not (keys.tls or is_web):
        raise ConfigurationError(
            f"{where} has keys of TLS, and tls is false", hint="Set tls = true"
        )
    if is_web and (keys.tls or keys.tls_name not in ("", ANY_NAME)):
        raise ConfigurationError(
            f"{where}: tls and a tls_name are not for a url",
            hint="https in the url says so, and the host in it is the name that is looked for",
        )


def server_context(keys: ServerTls) -> ssl.SSLContext | None:
    """How a listener speaks TLS; None where it does not.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    if not keys.tls_certificate:
        return None
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_pair(context, keys.tls_certificate, keys.tls_key)
    if keys.tls_ca:
        _load_authorities(context, keys.tls_ca)
        context.verify_mode = ssl.CERT_REQUIRED if keys.tls_mutual else ssl.CERT_OPTIONAL
    return context


class ClientContext(ssl.SSLContext):
    """How one peer is called; ``failure`` says afterwards why TLS did not come about."""

    failure = ""


def client_context(keys: ClientTls) -> ClientContext:
    """How a peer is called.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    _strict(context)
    context.sslsocket_class = _Telling
    context.check_hostname = keys.tls_name != ANY_NAME
    if keys.tls_certificate:
        _load_pair(context, keys.tls_certificate, keys.tls_key)
    if keys.tls_ca:
        _load_authorities(context, keys.tls_ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a peer's own certificate will do
    else:
        context.load_default_certs()
    return context


def web_context(keys: ClientTls, url: str) -> ClientContext | None:
    """How a DICOMweb service is called; None where its address is not https.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    return client_context(keys) if url.startswith("https:") else None


def wrapped(transport: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """The socket of a peer that is to speak TLS, before a byte is exchanged."""
    return context.wrap_socket(transport, server_side=True, do_handshake_on_connect=False)


def shake_hands(transport: ssl.SSLSocket, seconds: float) -> None:
    """Agree on TLS, all of it in so many seconds.

    Raises:
        OSError: the peer does not, takes too long, or has gone.
    """
    transport.settimeout(seconds)
    transport.do_handshake()


def say_goodbye(transport: socket.socket, seconds: float) -> None:
    """Tell a peer that speaks TLS that nothing more comes (RFC 8446 6.1); others nothing."""
    if isinstance(transport, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            transport.settimeout(seconds)
            transport.unwrap()


def cut_off(transport: socket.socket, how: int) -> None:
    """Shut a connection down from another thread; what was agreed with its peer stays in force."""
    with suppress(OSError):
        socket.socket.shutdown(transport, how)


def peer_name(transport: socket.socket) -> str:
    """The common name in the certificate that a peer has shown; empty where it has shown none."""
    if not isinstance(transport, ssl.SSLSocket):
        return ""
    with suppress(ValueError, OSError):
        subject = (transport.getpeercert() or {}).get("subject", ())
        for pair in (pair for part in subject for pair in part):
            if pair[0] == "commonName":
                return str(pair[1])
    return ""


def reason_of(error: OSError) -> str:
    """Why TLS did not come about, in words; empty where the peer just left."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{PREFIX}{error.verify_message}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ""
    if isinstance(error, ssl.SSLError):
        return f"{PREFIX}{(error.reason or 'failed').lower().replace('_', ' ')}"
    return f"{PREFIX}no handshake in time" if isinstance(error, TimeoutError) else ""


class _Telling(ssl.SSLSocket):
    """A socket that leaves the reason of a failure with its context."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as error:
            self._tell(error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As ever; in TLS 1.3 the peer judges our certificate after the handshake."""
        try:
            return super().recv(buflen, flags)
        except OSError as error:
            self._tell(error)
            raise

    def _tell(self, error: OSError) -> None:
        hung_up = isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)
        reason = f"{PREFIX}the peer hung up" if hung_up else reason_of(error)
        if isinstance(self.context, ClientContext):
            self.context.failure = self.context.failure or reason


def _check_pair(certificate: str, key: str, where: str) -> None:
    if bool(certificate) != bool(key):
        raise ConfigurationError(f"{where}: tls_certificate and tls_key go together")


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(CIPHERS) + f":@SECLEVEL={_SECURITY_LEVEL}")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        context.load_cert_chain(_path(certificate), _path(key), password=_refuse_to_ask)
    except OSError as error:  # an SSLError is one
        raise ConfigurationError(
            f"The certificate {certificate} with the key {key} cannot be used: {_said(error)}",
            hint="Both are PEM files; the key belongs to the first certificate, is not encrypted "
            "and may be read by the node",
        ) from error


def _load_authorities(context: ssl.SSLContext, authorities: str) -> None:
    """Certificates of authorities, and the lists of what they have revoked (RFC 5280 5)."""
    try:
        context.load_verify_locations(_path(authorities))
        if _CRL in _path(authorities).read_bytes():
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except OSError as error:
        raise ConfigurationError(
            f"The authorities in {authorities} cannot be used: {_said(error)}",
            hint="It is a PEM file of certificates",
        ) from error


def _path(file: str) -> Path:
    return Path(file).expanduser()


def _said(error: OSError) -> str:
    spoken = isinstance(error, ssl.SSLError) and error.reason
    return str(spoken).lower().replace("_", " ") if spoken else str(error.strerror or error)


def _refuse_to_ask() -> str:
    raise ConfigurationError("The key of a certificate is encrypted", hint="Decrypt its file")
