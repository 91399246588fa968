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

from dicom_node import archive_settings, tls
from dicom_node.archive_settings import ArchiveConfig, PriorsConfig
from dicom_node.audit import AuditConfig
from dicom_node.intake import network_of
from dicom_node.limits import LimitsConfig
from dicom_node.sections import (
    DESTINATION_NAME,
    AnalysisConfig,
    CommitConfig,
    Destination,
    DicomConfig,
    HttpConfig,
    JobsConfig,
    LogConfig,
    SendConfig,
    StorageConfig,
    StudyConfig,
)
from dicom_node.settings import build, from_text, kind_of
from sifdetect.errors import ConfigurationError

__all__ = [
    "AnalysisConfig",
    "CommitConfig",
    "Config",
    "Destination",
    "DicomConfig",
    "HttpConfig",
    "JobsConfig",
    "LogConfig",
    "SendConfig",
    "StorageConfig",
    "StudyConfig",
    "default_folder",
    "load",
    "retry_delay_seconds",
]

PREFIX = "SIFNODE_"
FILE_VARIABLE = "SIFNODE_CONFIG"


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
        default_factory=dict, metadata={"name": DESTINATION_NAME}
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
