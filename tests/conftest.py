"""What every test may ask for: outside tools, the real scans; and skips that may not hide."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from dicom_node.network import prepare_library
from tests.postgres_server import Postgres, postgres_server

prepare_library()  # the tests' own DICOM peers wait for answers too

ROOT = Path(__file__).resolve().parents[1]
REAL_SCANS = ROOT.parent / "shared" / "real"

CONTINUOUS_INTEGRATION = os.environ.get("CI") == "true"
PACKAGE_OF = {
    "Orthanc": "orthanc",
    "chromium": "chromium",
    "pdfinfo": "poppler-utils",
    "storescu": "dcmtk",
    "storescp": "dcmtk",
    "echoscu": "dcmtk",
    "dsrdump": "dcmtk",
    "dsr2xml": "dcmtk",
    "dcmpschk": "dcmtk",
    "dciodvfy": "dicom3tools",
    "dcsrdump": "dicom3tools",
    "systemd-analyze": "systemd",
    "java": "default-jre-headless",
}
"""Debian package of each outside command that a test uses."""


def find_tool(command: str) -> Path:
    """Path of an outside command; the test is skipped, or fails under CI=true, without it."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(command, path=places)
    if found is None:
        package = PACKAGE_OF.get(command, command)
        pytest.skip(f"{command} is not installed (Debian package {package})")
    return Path(found)


def needed(path: Path, reason: str) -> Path:
    """A file that something else installs; the test is skipped, or fails under CI=true, without."""
    if not path.is_file():
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Looks up an outside command by its name."""
    return find_tool


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """Folder of the real scans, which stands beside the checkout."""
    if not REAL_SCANS.is_dir():
        pytest.skip("the real scans are not here: ../shared/real is absent")
    return REAL_SCANS


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """What ``jobs.database`` is for ``sqlite``, and for ``postgresql`` a new database."""

    def named(base: str) -> str:
        if base == "sqlite":
            return ""
        server: Postgres = request.getfixturevalue("postgres")
        return server.url(f"jobs_{os.urandom(4).hex()}")

    return named


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under CI=true; only the absent real scans may be missing there."""
    report = yield
    absent = item.get_closest_marker("real") is not None and not REAL_SCANS.is_dir()
    excused = absent or hasattr(report, "wasxfail")
    if CONTINUOUS_INTEGRATION and report.skipped and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report
