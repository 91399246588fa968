"""Where a study is sent to, and where it is read: a PACS, OHIF over it, and a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import needed
from tests.e2e.browser import Chromium, Viewing
from tests.e2e.ohif import BUILD, Ohif
from tests.e2e.orthanc import Orthanc


@dataclass(frozen=True)
class Desk:
    """A PACS that keeps what is read, and the viewer's server and browser."""

    pacs: Orthanc
    ohif: Ohif
    chromium: Chromium

    def read(self, study_instance_uid: str, files: Iterable[bytes]) -> Viewing:
        """Send a study's files, and open it."""
        for file in files:
            self.pacs.upload(file)
        return self.chromium.open(self.ohif.url(study_instance_uid))


@contextmanager
def furnished(tool: Callable[[str], Path], folder: Path) -> Iterator[Desk]:
    """A desk that lasts as long as the block; without OHIF's build the test is skipped."""
    build = needed(BUILD / "index.html", "OHIF's build is not here: make viewer").parent
    with (
        Orthanc(tool("Orthanc"), folder / "orthanc", {}) as pacs,
        Ohif(build, pacs.http_port) as ohif,
        Chromium(tool("chromium")) as chromium,
    ):
        yield Desk(pacs, ohif, chromium)
