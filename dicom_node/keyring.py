"""Certificates that are renewed while the node runs: their files are read again, nobody is cut off.

A connection keeps what was agreed on when it began; the next one gets what was read last. What
cannot be used is refused with one line in the log, and what was there goes on.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from dicom_node import logs
from dicom_node.metrics import Family, gauge
from dicom_node.tls import ServerTls, server_context
from sifdetect.errors import ConfigurationError

_LOOK_SECONDS = 1.0
_MOST_FLIGHTS = 8
"""A handshake needs three; more is none."""

Stamp = tuple[int, int, int] | None


class Keyring:
    """How one listener speaks TLS; threads may ask for it and renew it at the same time.

    Args:
        listener: its name in the log.
        files: what it is read from, the certificate first; empty ones are not looked at.
        read: reads them; None where the listener speaks no TLS.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """

    def __init__(
        self, listener: str, files: Sequence[str], read: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self.listener = listener
        self.expires: float | None = None
        """When its certificate ends, in seconds since the epoch."""
        self._files = [Path(one).expanduser() for one in files if one]
        self._read = read
        self._lock = threading.Lock()
        self._used = self._seen = self._stamps()
        self._context = read()
        try:
            self.expires = self._tried(self._context)
        except ConfigurationError as error:
            logs.warning("certificate out of order", listener=listener, reason=error.reason)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What the next connection is to use; None for plain speech."""
        return self._context

    def look(self) -> None:
        """Read the files again where they changed and have kept still since the last look.

        So a certificate that is in place before its key is no pair that does not fit.
        """
        stamps = self._stamps()
        is_still = stamps == self._seen
        self._seen = stamps
        if is_still and stamps != self._used:
            self.renew()

    def renew(self) -> None:
        """Read the files again now; what cannot be used changes nothing."""
        with self._lock:
            self._used = self._stamps()
            try:
                context = self._read()
                expires = self._tried(context)
            except ConfigurationError as error:
                told = f"{error.reason}; what was read before goes on"
                logs.warning("certificate refused", listener=self.listener, reason=told)
                return
            self._context, self.expires = context, expires
        if context is not None:
            logs.info("certificate read again", listener=self.listener, expires=expires)

    def _tried(self, context: ssl.SSLContext | None) -> float | None:
        return None if context is None else rehearse(context, self._files[0])

    def _stamps(self) -> list[Stamp]:
        return [_stamp(path) for path in self._files]


class Renewals:
    """Has keyrings look at their files, and read them again when that is asked for."""

    def __init__(self, keyrings: Sequence[Keyring]) -> None:
        self._keyrings = keyrings
        self._asked = threading.Event()

    def ask(self) -> None:
        """Have all files read again, soon; may be called by a signal's handler."""
        self._asked.set()

    def run(self, stopping: threading.Event) -> None:
        """Look until ``stopping``."""
        while not stopping.is_set():
            is_asked = self._asked.wait(_LOOK_SECONDS)
            self._asked.clear()
            for one in self._keyrings:
                (one.renew if is_asked else one.look)()

    def measured(self) -> list[Family]:
        """When the certificates end, for the metrics page."""
        ends = [(one.listener, one.expires) for one in self._keyrings if one.expires is not None]
        return [
            gauge(
                "sifnode_certificate_expires_timestamp_seconds",
                "When the certificate of a listener ends.",
                [("", (("listener", listener),), end) for listener, end in ends],
            )
        ]


def dicom_keyring(keys: ServerTls) -> Keyring:
    """That of the DICOM ports, all of which speak alike.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    files = (keys.tls_certificate, keys.tls_key, keys.tls_ca)
    return Keyring("DICOM", files, lambda: server_context(keys))


def rehearse(context: ssl.SSLContext, certificate: Path) -> float:
    """Shake hands with a listener's keys in memory, as a client that trusts this very certificate.

    Returns:
        When the certificate ends, in seconds since the epoch.

    Raises:
        ConfigurationError: it is out of date or not one for a server, or no handshake comes about.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(certificate)
        caller = client.wrap_bio(back, there)
        called = context.wrap_bio(there, back, server_side=True)
        for _ in range(_MOST_FLIGHTS):
            with suppress(ssl.SSLWantReadError):
                caller.do_handshake()
                return ssl.cert_time_to_seconds(str((caller.getpeercert() or {})["notAfter"]))
            with suppress(ssl.SSLWantReadError):
                called.do_handshake()
        reason = "no handshake comes about"
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message
    except OSError as error:  # an SSLError is one
        reason = str(error.strerror or error)
    raise ConfigurationError(
        f"The certificate {certificate} cannot be used: {reason}",
        hint="It has to be valid now, and for a server",
    )


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
