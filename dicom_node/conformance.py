"""The DICOM conformance statement, made from the tables that the node itself works by.

    sifnode conformance > docs/conformance.md

In the order of PS3.2's template. A test holds the page against what this module makes, so that it
cannot drift from the code.
"""

from __future__ import annotations

from dicom_node import conformance_network, conformance_objects
from dicom_node.config import Config
from dicom_node.document import Lines, prose, table
from sifdetect import __version__
from sifdetect.dicom.provenance import STATEMENT


def statement() -> str:
    """The page in Markdown."""
    config = Config()
    parts = (
        _overview(),
        _introduction(),
        conformance_network.networking(config),
        _media(),
        _character_sets(),
        _security(config),
        conformance_objects.annexes(),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _overview() -> Lines:
    yield "# DICOM conformance statement"
    yield ""
    yield from prose("Made from the code by `sifnode conformance`; not edited by hand.")
    yield from prose(
        f"Product: sifdetect and its node `sifnode`, version {__version__}. {STATEMENT}"
    )
    yield "## 1 Overview"
    yield ""
    yield from prose(
        "The node takes CT and MR studies by C-STORE, has them analysed for sacral "
        "insufficiency fractures, and sends the results to the archives of its settings by "
        "C-STORE or STOW-RS. It can ask an archive for storage commitment, for what a study "
        "should hold, and for an earlier study of the same patient."
    )
    yield from table(
        ("network service", "user (SCU)", "provider (SCP)"), conformance_network.services()
    )


def _introduction() -> Lines:
    yield "## 2 Introduction"
    yield ""
    yield from prose(
        "For those who connect the node to scanners and archives. DICOM conformance alone "
        "does not promise that two products work together: try it, with `sifnode check` and "
        "`sifnode send-test`. PS3.x names parts of the DICOM standard; AE is an application "
        "entity, SCU and SCP are the user and the provider of a service."
    )
    yield from prose(
        "The statement names what the code offers with its default settings; where a setting "
        "decides, it is named as it stands in the settings file. What each setting does: "
        "[node](node.md)."
    )


def _media() -> Lines:
    yield "## 4 Media interchange"
    yield ""
    yield from prose(
        "None. (`sifdetect analyze` reads files, folders, DICOMDIR and zip on the command "
        "line; it is no media application entity and writes no DICOMDIR.)"
    )


def _character_sets() -> Lines:
    yield "## 5 Support of character sets"
    yield ""
    yield from prose(
        "Results have the Specific Character Set (0008,0005) of their source, whatever it is, "
        "and the source's patient name, ID and descriptions as that character set spells "
        "them. What the node adds is written in English in ASCII; characters of a source's "
        "description that the character set of a result cannot spell become question marks. "
        "Tested: ISO_IR 100, 126, 144, 192, ISO 2022 IR 87."
    )


def _security(config: Config) -> Lines:
    yield "## 6 Security"
    yield ""
    keys = [name for name in vars(config.dicom) if name.startswith("tls")]
    if keys:
        yield from prose(
            "Secure transport connections (PS3.15 B): TLS as SCP and as SCU, by the settings "
            f"{', '.join(f'`dicom.{key}`' for key in keys)} and those of the same kind of each "
            "destination. Without them connections are plain."
        )
    else:
        yield from prose("Security profiles (PS3.15): none. Connections are not encrypted.")
    yield from prose(
        "Association level: callers are let in by AE title and address "
        "(`dicom.allowed_callers`; empty lets all in), the called AE title is checked "
        f"(`dicom.check_called_ae`, by default {str(config.dicom.check_called_ae).lower()}), "
        f"the node listens on `{config.dicom.bind}` until `dicom.bind` says otherwise. "
        "Application level: no user identity negotiation; nothing is de-identified, and no "
        "private data of other makers is copied into results."
    )
