"""What can be wrong before the first study comes: folder, ports, models, destinations."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import Config
from dicom_node.durable import make_folder
from dicom_node.guard import FolderLock
from dicom_node.send import echo, unsupported_results
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
    ]
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
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be written: {error.strerror}"
        ) from error


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
