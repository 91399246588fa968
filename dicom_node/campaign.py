"""Studies of an archive analysed again, at low priority: ``sifnode reanalyze``.

One study after another is fetched and handed in to the running node, as a scanner would. The list
and what became of each lie in ``campaigns/``: the same command again carries on where it ended.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

from dicom_node.archive import Archive
from dicom_node.completion import archive_of
from dicom_node.config import Config
from dicom_node.durable import make_folder, read_json, write_json
from dicom_node.earlier import worth_fetching
from dicom_node.jobs import retry
from dicom_node.reports import Marker
from dicom_node.retrieve import Basket, fetch
from dicom_node.spool import Spool
from dicom_node.stages import mark_archived
from dicom_node.trial import await_end, hand_in, running_node
from sifdetect.errors import BatchIncomplete, NetworkError, SifdetectError, UsageError

CALLER = "SIFCAMPAIGN"
_MOST_STUDIES = 10_000
_AGAIN = (Marker.SENT, Marker.FAILED, Marker.UNDELIVERED)


class Campaign:
    """One campaign by its name.

    Args:
        wait: sleeps; between two studies there is at least ``3600 / per_hour`` seconds.
    """

    def __init__(
        self, config: Config, name: str, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        if not name or name != Path(name).name or name.startswith("."):
            raise UsageError(f"{name!r} is no name for a campaign", hint="Use letters and digits")
        self._config = config
        self._folder = config.storage.folder / "campaigns"
        self._path = self._folder / f"{name}.json"
        self._part = self._folder / f"{name}.part"
        self._wait = wait

    def plan(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The list of studies; asked for once, then kept.

        Raises:
            UsageError: there is no campaign and no query, or another query than before.
            NetworkError: the archive does not answer.
        """
        known = read_json(self._path)
        if known is not None:
            if query and dict(query) != known["query"]:
                raise UsageError(
                    "The campaign exists with another query", hint="Choose another --campaign"
                )
            return known
        if not query:
            raise UsageError(
                "A new campaign needs a --query",
                hint="Such as --query ModalitiesInStudy=CT StudyDate=2024-",
            )
        found = archive_of(self._config).studies(query)[:_MOST_STUDIES]
        studies = {str(one.StudyInstanceUID): {"state": "waiting"} for one in found}
        document = {"query": dict(query), "studies": studies}
        make_folder(self._folder)
        write_json(self._path, document)
        return document

    def run(
        self, query: Mapping[str, str], *, per_hour: float, limit: int, timeout_seconds: float
    ) -> dict[str, int]:
        """Work off what waits; returns how many studies are in each state at the end.

        Raises:
            ConfigurationError: no node runs.
            UsageError, NetworkError: see ``plan``.
            BatchIncomplete: some studies failed, and stand in the list as such.
        """
        running_node(self._config)
        document = self.plan(query)
        waiting = [u for u, one in document["studies"].items() if one["state"] == "waiting"]
        for number, uid in enumerate(waiting[:limit]):
            begun = time.monotonic()
            document["studies"][uid] = self._one(uid, timeout_seconds)
            write_json(self._path, document)
            if number + 1 < len(waiting[:limit]):
                self._wait(max(0.0, 3600.0 / per_hour - (time.monotonic() - begun)))
        counts: dict[str, int] = {}
        for one in document["studies"].values():
            counts[one["state"]] = counts.get(one["state"], 0) + 1
        if any(document["studies"][uid]["state"] == "failed" for uid in waiting[:limit]):
            raise BatchIncomplete(
                f"{counts['failed']} of {len(document['studies'])} studies failed",
                hint=f"{self._path} says why",
            )
        return counts

    def _one(self, uid: str, timeout_seconds: float) -> dict[str, str]:
        """Fetch, hand in, wait: what became of it."""
        try:
            self._fetch(archive_of(self._config), uid)
            mark_archived(self._config.storage.folder, uid)
            hand_in(self._config, sorted(self._part.iterdir()), CALLER)
            self._again(uid)
            told = await_end(self._config, uid, timeout_seconds)
        except SifdetectError as error:
            return {"state": "failed", "reason": error.reason}
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
        reason = told["reports"][-1]["reason"] if told["reports"] else ""
        return {"state": "done" if told["state"] == "sent" else "failed", "reason": reason}

    def _fetch(self, archive: Archive, uid: str) -> None:
        settings = self._config.priors
        shutil.rmtree(self._part, ignore_errors=True)
        series = worth_fetching(archive.series(uid), modality="", most=settings.max_instances)
        deadline = time.monotonic() + settings.timeout_seconds
        basket = Basket(
            self._part, uid, most=settings.max_instances, most_mb=settings.max_mb, deadline=deadline
        )
        named = [(uid, str(one.SeriesInstanceUID)) for one in series]
        if not named:
            raise NetworkError("The archive has no CT or MR series of it within the limits")
        fetch(archive, self._config.archive, named, basket)

    def _again(self, uid: str) -> None:
        """Where these very images have a report already, have it made anew."""
        reports = Spool(self._config.storage.folder).study(uid).reports()
        if reports and reports[-1].marker in _AGAIN:
            reports[-1].discard_results()
            retry(self._config.storage.folder, uid, self._config.jobs.database)


def parse_query(words: list[str]) -> dict[str, str]:
    """``Keyword=value`` words as a query.

    Raises:
        UsageError: a word is none, or names no attribute.
    """
    query = {}
    for word in words:
        keyword, equals, value = word.partition("=")
        if not equals or tag_for_keyword(keyword) is None:
            raise UsageError(
                f"{word!r} is no query", hint="Write Keyword=value, such as StudyDate=2024-"
            )
        query[keyword] = value
    return query
