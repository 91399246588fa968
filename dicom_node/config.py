"""The node's settings: one TOML file, each key overridable by an environment variable.

Order of precedence: defaults, file, environment (``SIFNODE_SECTION_KEY``), command line. A finished
``Config`` is a valid one: what cannot be meant is refused with the place where it stands.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dicom_node import archive_settings, settings, tls
from dicom_node.archive_settings import ArchiveConfig, PriorsConfig
from dicom_node.audit import AuditConfig
from dicom_node.intake import network_of
from dicom_node.limits import LimitsConfig
from dicom_node.settings import build, from_text, kind_of
from sifdetect.errors import ConfigurationError

PREFIX = "SIFNODE_"
FILE_VARIABLE = "SIFNODE_CONFIG"

_AE_TITLE = r"(?=.*[^ ])[ -\[\]-~]{1,16}"  # PS3.5 6.2: AE, 16 characters, no backslash
_CALLER = r"(?=.*[^ ])[ -?A-\[\]-~]{1,16}(@[0-9A-Fa-f.:]+(/\d{1,3})?)?"
_DESTINATION_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,31}"
_HOST = r"[A-Za-z0-9._:-]{1,253}"
_OUTPUT = r"sr|seg|summary|data|text|pdf|gsps"
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


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one node."""

    dicom: DicomConfig = field(default_factory=DicomConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    send: SendConfig = field(default_factory=SendConfig)
    commit: CommitConfig = field(default_factory=CommitConfig)
    jobs: JobsConfig = field(default_factory=JobsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    destination: dict[str, Destination] = field(
        default_factory=dict, metadata={"name": _DESTINATION_NAME}
    )

    def objects_for(self, destination: str) -> tuple[str, ...]:
        """The kinds of results that a destination gets."""
        return self.destination[destination].objects or self.analysis.outputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """The kinds of results that are made: those of the settings and of all destinations."""
        asked = {kind for name in self.destination for kind in self.objects_for(name)}
        return tuple(sorted(asked | set(self.analysis.outputs)))


def default_folder(environment: Mapping[str, str]) -> Path:
    """``$XDG_STATE_HOME/sifnode``, or ``~/.local/state/sifnode`` (XDG Base Directory 0.8)."""
    state = environment.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "sifnode"


def load(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    command_line: Mapping[str, str] | None = None,
) -> Config:
    """The settings from ``file`` (or the one that ``SIFNODE_CONFIG`` names), and what overrides it.

    Args:
        command_line: values as text by ``section.key``, such as ``{"dicom.port": "0"}``.

    Raises:
        ConfigurationError: the file is missing or no TOML, a key is unknown, a value is not of its
            type or out of range.
    """
    environment = os.environ if environment is None else environment
    if file is None and environment.get(FILE_VARIABLE):
        file = Path(environment[FILE_VARIABLE])
    document = _read(file) if file else {}
    for variable, value in sorted(environment.items()):
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE:
            _override(document, _path_of(variable, document), value, source=variable)
    for dotted, value in (command_line or {}).items():
        _override(document, tuple(dotted.split(".")), value, source=f"the command line: {dotted}")
    storage = document.setdefault("storage", {})
    if isinstance(storage, dict):
        storage.setdefault("folder", str(default_folder(environment)))
    where = str(file) if file else "the settings"
    config = build(Config, document, where=where)
    assert isinstance(config, Config)
    _check_whole(config, where)
    return config


def retry_delay_seconds(send: SendConfig, attempt: int) -> float:
    """How long to wait after failed attempt number ``attempt`` (0 is the first)."""
    return float(min(send.first_retry_seconds * 2.0 ** min(attempt, 60), send.max_retry_seconds))


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}", hint="Check the path given to --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error


def _path_of(variable: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    """``SIFNODE_DICOM_PORT`` → dicom, port; ``SIFNODE_DESTINATION_PACS_PORT`` → three parts."""
    section, _, key = variable.removeprefix(PREFIX).lower().partition("_")
    if section != "destination":
        return section, key
    for known in sorted((f.name for f in fields(Destination)), key=len, reverse=True):
        name = key.removesuffix(f"_{known}")
        if name != key:
            return section, _destination_name(name, document), known
    return section, key


def _destination_name(name: str, document: Mapping[str, Any]) -> str:
    present = document.get("destination", {})
    for candidate in present if isinstance(present, dict) else ():
        if candidate.lower().replace("-", "_") == name:
            return str(candidate)
    return name.upper().replace("_", "-")


def _override(document: dict[str, Any], path: tuple[str, ...], value: str, *, source: str) -> None:
    plain = from_text(value, kind_of(Config, path, where=source), where=source)
    target = document
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ConfigurationError(f"{part} should be a table of keys, not {target!r}")
    target[path[-1]] = plain


def _check_whole(config: Config, where: str) -> None:
    study = config.study
    if study.max_wait_seconds < study.quiet_seconds:
        raise ConfigurationError(
            f"{where}: study.max_wait_seconds ({study.max_wait_seconds}) is shorter than "
            f"study.quiet_seconds ({study.quiet_seconds})"
        )
    tls.check_server(config.dicom, where)
    for caller in config.dicom.allowed_callers:
        if "@" in caller and network_of(caller) is None:
            raise ConfigurationError(
                f"{where}: dicom.allowed_callers holds {caller!r}, which names no network",
                hint="Write AE@10.0.0.7 or AE@10.0.0.0/24; no bit may stand behind the prefix",
            )
    if config.jobs.role != "all" and not config.jobs.database:
        raise ConfigurationError(
            f"{where}: jobs.role is {config.jobs.role} and jobs.database is empty",
            hint="Processes that share the work share a PostgreSQL database",
        )
    archive_settings.check(config.archive, config.priors, sorted(config.destination), where)
    for name, destination in config.destination.items():
        tls.check_client(destination, bool(destination.url), f"{where}: destination.{name}")
        if not destination.host and not destination.url:
            raise ConfigurationError(f"{where}: destination.{name} has no host")
        if destination.url and destination.commit:
            raise ConfigurationError(
                f"{where}: destination.{name} has a url and commit = true",
                hint="DICOMweb has no storage commitment: give host and port instead of url",
            )
