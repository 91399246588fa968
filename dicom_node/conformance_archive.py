"""Query and retrieval in the conformance statement: what an archive is asked, and what it sends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dicom_node import archive, retrieve
from dicom_node.config import Config
from dicom_node.document import Lines, listed, named, prose, table

ENTITY = ("ARCHIVE-SCU", "asks one archive what a study holds, and fetches earlier studies")


def services() -> Iterable[Sequence[str]]:
    """The services, with the node's roles."""
    yield "Query/Retrieve, Study Root: FIND, GET, MOVE", "yes", "no"
    yield "QIDO-RS, WADO-RS (PS3.18 10.6, 10.4)", "yes", "no"


def archive_scu(config: Config) -> Lines:
    """The section of the application entity."""
    yield "#### 3.2.4 ARCHIVE-SCU"
    yield ""
    yield from prose(
        "Asks the destination that `archive.destination` names, when a study went quiet (C-FIND at"
        " the level SERIES), when the first image of a study comes and `priors.enabled` is set"
        " (STUDY, then SERIES, then one retrieval), and for `sifnode reanalyze`. Where that"
        " destination has a `url` it is asked by QIDO-RS and WADO-RS instead."
    )
    classes = (archive.FIND, retrieve.GET, retrieve.MOVE)
    yield from table(("SOP class", "UID", "role"), [(*named(one), "SCU") for one in classes])
    yield from table(("level", "keys that are asked for"), _keys())
    yield from prose(
        "Matched on: Study Instance UID; for earlier studies Patient ID and Study Date (a range);"
        " for `sifnode reanalyze` what its query says."
    )
    yield from prose(
        f"Images and reports that are fetched, as SCP of {listed(retrieve.FETCHED)}: by C-GET on"
        " the association that the node asked for, with role selection; by C-MOVE"
        f" (`archive.retrieve`) to the AE title `archive.move_ae_title`"
        f" (`{config.archive.move_ae_title}`) at `archive.move_port`"
        f" ({config.archive.move_port}), which is open for as long as one retrieval and speaks"
        " TLS where `dicom.port` does. Transfer syntaxes, each line in a context of its own:"
    )
    for row in retrieve._ENCODINGS:
        yield f"- {listed(row)}"
    yield ""
    yield from table(("limit", "value"), _limits(config))
    yield from prose(
        "An instance of another study, or beyond a limit, is answered 0xA700; the association is"
        " then aborted and nothing is kept."
    )


def _keys() -> Iterable[Sequence[str]]:
    yield "STUDY", ", ".join(archive.STUDY_KEYS)
    yield "SERIES", ", ".join(archive.SERIES_KEYS)


def _limits(config: Config) -> Iterable[Sequence[str]]:
    priors = config.priors
    yield (
        "Time for each answer",
        f"`archive.timeout_seconds` ({config.archive.timeout_seconds:g} s)",
    )
    yield "Instances", f"`priors.max_instances` ({priors.max_instances})"
    yield "Size", f"`priors.max_mb` ({priors.max_mb} MB)"
    yield "Time for a retrieval", f"`priors.timeout_seconds` ({priors.timeout_seconds:g} s)"
