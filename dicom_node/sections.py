"""The sections of the node's settings: every key with its default and its range."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dicom_node import settings, tls

_AE_TITLE = r"(?=.*[^ ])[ -\[\]-~]{1,16}"  # PS3.5 6.2: AE, 16 characters, no backslash
_CALLER = r"(?=.*[^ ])[ -?A-\[\]-~]{1,16}(@[0-9A-Fa-f.:]+(/\d{1,3})?)?"
DESTINATION_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,31}"
_HOST = r"[A-Za-z0-9._:-]{1,253}"
_OUTPUT = r"sr|seg|summary|data|text|pdf|gsps|anatomy"
_FILE = r"[^\0\n]{0,4000}"
_DATABASE = r"|postgresql://[!-~]{1,500}"
_URL = r"|https?://[!-~]{1,500}"

_text, _number, _texts = settings.text, settings.number, settings.texts


@dataclass(frozen=True, kw_only=True)
class DicomConfig(tls.ServerTls):
    """How the node listens.

    Attributes:
        allowed_callers: ``AE``, ``AE@ADDRESS`` or ``AE@NETWORK/BITS``, with ``*`` for any AE title;
            empty lets all in.
    """

    ae_title: str = _text("SIFDETECT", _AE_TITLE)
    bind: str = _text("127.0.0.1", _HOST)
    port: int = _number(11112, 0, 65535)
    check_called_ae: bool = True
    allowed_callers: tuple[str, ...] = _texts((), _CALLER)
    max_associations: int = _number(20, 1, 1000)
    max_pdu_bytes: int = _number(131072, 4096, 1048576)
    timeout_seconds: float = _number(60.0, 1, 3600)


@dataclass(frozen=True, kw_only=True)
class HttpConfig:
    """The HTTP port: health and metrics for all; STOW-RS and the page for those with the token.

    Attributes:
        token_file: holds the token; empty for health and metrics alone.
        certificate, key: PEM files; empty for plain HTTP.
        client_ca: whose certificates may send by STOW-RS without the token.
        timeout_seconds: how long a sender may be silent.
    """

    enabled: bool = True
    bind: str = _text("127.0.0.1", _HOST)
    port: int = _number(8112, 0, 65535)
    token_file: str = _text("", _FILE)
    certificate: str = _text("", _FILE)
    key: str = _text("", _FILE)
    client_ca: str = _text("", _FILE)
    max_uploads: int = _number(8, 1, 1000)
    max_request_mb: int = _number(8192, 1, 10**6)
    max_instance_mb: int = _number(2048, 1, 10**6)
    timeout_seconds: float = _number(60.0, 1, 3600)


@dataclass(frozen=True, kw_only=True)
class StorageConfig:
    """Where the spool lies, and for how long images stay in it after their report went out."""

    folder: Path = Path()
    min_free_mb: int = _number(1024, 0, 10**9)
    keep_hours: float = _number(168.0, 0, 24 * 3660)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """When a study counts as complete: no instance for ``quiet_seconds``, or the cap is reached.

    Attributes:
        check_gaps: whether a hole in a stack of slices is waited for, until the cap.
    """

    quiet_seconds: float = _number(30.0, 0.1, 86400)
    max_wait_seconds: float = _number(1800.0, 1, 86400)
    check_gaps: bool = True


@dataclass(frozen=True, kw_only=True)
class AnalysisConfig:
    """What is made of a study, and with what."""

    outputs: tuple[str, ...] = _texts(("sr", "seg", "summary"), _OUTPUT)
    engine: str = _text("auto", r"auto|openvino|torch")
    device: str = _text("cpu", r"cpu|cuda(:\d+)?")
    timeout_seconds: float = _number(1800.0, 1, 86400)


@dataclass(frozen=True, kw_only=True)
class SendConfig:
    """Attempt n waits min(first · 2^n, max) seconds, until ``give_up_hours`` have passed."""

    first_retry_seconds: float = _number(30.0, 0.1, 86400)
    max_retry_seconds: float = _number(900.0, 0.1, 86400)
    give_up_hours: float = _number(72.0, 0, 24 * 366)
    timeout_seconds: float = _number(60.0, 1, 3600)
    circuit_failures: int = _number(5, 1, 1000)
    circuit_probe_seconds: float = _number(60.0, 0.1, 86400)


@dataclass(frozen=True, kw_only=True)
class CommitConfig:
    """Storage commitment: where archives report to, and how long each of their answers may take."""

    port: int = _number(11113, 0, 65535)
    timeout_seconds: float = _number(3600.0, 1, 24 * 3600)


@dataclass(frozen=True, kw_only=True)
class JobsConfig:
    """The job engine: where its jobs are kept, what this process does, how often it looks.

    Attributes:
        database: of several processes, PostgreSQL; empty for a file in the data folder.
        role: ``receiver`` takes studies in and cleans up, ``worker`` analyses and sends.
    """

    database: str = field(default="", repr=False, metadata={"pattern": _DATABASE})
    role: str = _text("all", r"all|receiver|worker")
    poll_seconds: float = _number(1.0, 0.02, 60)
    reconcile_seconds: float = _number(180.0, 0.5, 86400)


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """Which events are written to standard error."""

    level: str = _text("info", r"debug|info|warning|error")


@dataclass(frozen=True, kw_only=True)
class Destination(tls.ClientTls):
    """Who gets results, which, and how.

    Attributes:
        calling_ae_title: empty for the node's own.
        objects: kinds of results; empty for ``analysis.outputs``.
        sr_class: as what a measurement report goes; ``auto`` is the best that is accepted.
        transfer_syntax: of what is not compressed already.
        url: of a DICOMweb service, which gets the results by STOW-RS instead.
        authorization: the Authorization header for ``url``.
        commit: whether an object counts as delivered only once its storage is committed.
    """

    host: str = _text("", _HOST)
    port: int = _number(104, 1, 65535)
    ae_title: str = _text("ANY-SCP", _AE_TITLE)
    calling_ae_title: str = _text("", rf"|{_AE_TITLE}")
    objects: tuple[str, ...] = _texts((), _OUTPUT)
    sr_class: str = _text("auto", r"auto|comprehensive-3d|comprehensive|enhanced")
    transfer_syntax: str = _text("explicit", r"explicit|implicit|deflated")
    url: str = _text("", _URL)
    authorization: str = field(default="", repr=False, metadata={"pattern": r"[ -~]{0,4000}"})
    commit: bool = False
