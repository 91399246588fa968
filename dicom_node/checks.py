"""What can be wrong before the first study comes: folder, ports, models, destinations."""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import Config
from dicom_node.durable import OTHERS, make_folder, open_to_others
from dicom_node.guard import FolderLock
from dicom_node.http_port import tls_context
from dicom_node.keyring import rehearse
from dicom_node.lifelines import database_is_there
from dicom_node.send import echo, unsupported_results
from dicom_node.tls import client_context, server_context
from dicom_node.tokens import read_token
from sifdetect.errors import ConfigurationError, ModelError, NetworkError, SifdetectError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; ``trouble`` is empty where all is well."""

    name: str
    trouble: str = ""
    exit_code: int = 0


def check_all(config: Config) -> list[Check]:
    """Look at everything the settings speak of; the settings themselves are valid already."""
    running = FolderLock(config.storage.folder).is_held()
    probes: list[tuple[str, Callable[[], None]]] = [
        ("data folder", lambda: _check_folder(config)),
        ("models", _check_models),
        ("TLS", lambda: _check_tls(config)),
        ("HTTP keys", lambda: _check_http_keys(config)),
    ]
    if config.jobs.database:
        probes.append(("job database", lambda: _check_database(config.jobs.database)))
    if not running:  # else the node itself holds them
        probes.append(("DICOM port", lambda: _check_port(config.dicom.bind, config.dicom.port)))
        probes.append(("HTTP port", lambda: _check_port(config.http.bind, config.http.port)))
    for name in sorted(config.destination):
        probes.append((f"destination {name}", _destination_probe(config, name)))
    return [_tried(name, probe) for name, probe in probes]


def _tried(name: str, probe: Callable[[], None]) -> Check:
    try:
        probe()
    except SifdetectError as error:
        return Check(name=name, trouble=str(error), exit_code=error.exit_code)
    return Check(name=name)


def _check_folder(config: Config) -> None:
    folder = config.storage.folder
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
        found = open_to_others(folder)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be written: {error.strerror}"
        ) from error
    if found is not None:
        raise ConfigurationError(
            f"{found} is open to others on this machine (mode {found.stat().st_mode & 0o777:04o})",
            hint=f"chmod -R u+rwX,go= {folder}",
        )


def _check_tls(config: Config) -> None:
    """The files for TLS, of the node and of each destination, can be used by the node alone."""
    _check_certificate(server_context(config.dicom), config.dicom.tls_certificate)
    keys = [config.dicom.tls_key]
    for one in config.destination.values():
        client_context(one)
        keys.append(one.tls_key)
    _check_private(keys)


def _check_http_keys(config: Config) -> None:
    """Token, certificate, key and authorities of the HTTP port can be used by the node alone."""
    if config.http.enabled:
        read_token(config.http.token_file)
        _check_certificate(tls_context(config.http), config.http.certificate)
        _check_private([config.http.key])


def _check_certificate(context: ssl.SSLContext | None, certificate: str) -> None:
    if context is not None:
        rehearse(context, Path(certificate).expanduser())


def _check_private(keys: list[str]) -> None:
    for key in filter(None, keys):
        path = Path(key).expanduser()
        if path.stat().st_mode & OTHERS:
            raise ConfigurationError(
                f"The key {path} is open to others on this machine", hint=f"chmod 600 {path}"
            )


def _check_database(url: str) -> None:
    database_is_there(url)  # where it is not yet, the first process makes it


def _check_port(bind: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise NetworkError(
                f"{bind} port {port} cannot be listened on: {error.strerror}"
            ) from error


def _check_models() -> None:
    # Heavy, and of no use to the other commands.
    from sifdetect.app import default_models  # noqa: PLC0415  # see above
    from sifdetect.bundle import verify  # noqa: PLC0415  # see above

    folder: Path = default_models()
    bundles = sorted(path.parent.parent for path in folder.glob("*/configs/metadata.json"))
    if not bundles:
        raise ModelError(f"There is no model in {folder}", hint="Set SIFDETECT_MODELS")
    for bundle in bundles:
        verify(bundle)


def _destination_probe(config: Config, name: str) -> Callable[[], None]:
    destination, wanted = config.destination[name], config.objects_for(name)

    def probe() -> None:
        own_title, seconds = config.dicom.ae_title, config.send.timeout_seconds
        echo(destination, own_title=own_title, timeout_seconds=seconds)
        if destination.url:
            return
        missing = unsupported_results(
            destination, wanted, own_title=own_title, timeout_seconds=seconds
        )
        if missing:
            raise NetworkError(
                f"{destination.ae_title} answers, but takes no {', no '.join(missing)}",
                hint="Allow these SOP classes there",
            )

    return probe
