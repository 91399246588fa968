"""Networking in the conformance statement: the application entities, what they offer and answer.

It reads the tables that the receiver, the sender and intake work by, private ones too: a copy of
them here could drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.status import code_to_category

from dicom_node import (
    admission,
    commit,
    conformance_archive,
    intake,
    receive,
    send,
    versions,
    workflow,
)
from dicom_node.acceptor import VERIFICATION
from dicom_node.answers import SR_CLASSES
from dicom_node.config import Config, Destination
from dicom_node.document import Lines, listed, named, prose, table
from dicom_node.door import REQUEST_SECONDS
from sifdetect.dicom.objects_page import object_kinds
from sifdetect.errors import UnreadableInput

_ENTITIES = (
    ("STORAGE-SCP", "takes studies in; answers C-ECHO"),
    ("RESULTS-SCU", "sends results, asks for storage commitment, and C-ECHO"),
    conformance_archive.ENTITY,
    ("COMMITMENT-SCP", "takes the answers to storage commitment, on a port of its own"),
)


def services() -> Iterable[Sequence[str]]:
    """Every network service, with the node's roles."""
    yield "Verification", "yes", "yes"
    yield "Storage: every storage SOP class of PS3.4 B.5", "results only", "yes"
    yield "Storage Commitment Push Model", "yes", "no"
    yield from conformance_archive.services()
    yield "STOW-RS (PS3.18 10.5), QIDO-RS for a test", "yes", "no"
    yield "STOW-RS (PS3.18 10.5), where a token or a client CA is set", "no", "yes"


def networking(config: Config) -> Lines:
    """Chapter 3."""
    yield "## 3 Networking"
    yield ""
    yield "### 3.1 Implementation model"
    yield ""
    yield from table(("application entity", "what it does"), _ENTITIES)
    yield from prose(
        "All use the AE title of the settings (`dicom.ae_title`, by default "
        f"`{config.dicom.ae_title}`); a destination may have another calling AE title "
        "(`destination.NAME.calling_ae_title`). Sequence: a study is received; nothing comes "
        f"for `study.quiet_seconds` ({config.study.quiet_seconds:g} s); it is analysed; the "
        "results are sent to each destination until it accepts each object, and, where the "
        "settings say so, commits to storing it. Only then does anything become eligible for "
        "deletion."
    )
    yield "### 3.2 AE specifications"
    yield ""
    yield from _storage_scp(config)
    yield from _results_scu(config)
    yield from _commitment(config)
    yield from conformance_archive.archive_scu(config)
    yield from _physical(config)


def _storage_scp(config: Config) -> Lines:
    yield "#### 3.2.1 STORAGE-SCP"
    yield ""
    yield "##### SOP classes"
    yield ""
    yield from prose(
        "Each in each of the transfer syntaxes below, as SCP; of a context's transfer "
        "syntaxes the first of the caller's that is listed here is taken. What is marked "
        "*analysed* is what a report rests on; other objects are kept with their study and "
        "not read."
    )
    rows = [
        (*named(one), "analysed" if one in intake.IMAGES else "")
        for one in receive.storage_classes()
    ]
    yield from table(("SOP class", "UID", ""), [(*named(VERIFICATION), ""), *rows])
    yield "##### Transfer syntaxes"
    yield ""
    yield from prose("Those whose pixels the installed decoders can read:")
    yield from table(("transfer syntax", "UID"), map(named, receive.transfer_syntaxes()))
    yield "##### Association policies"
    yield ""
    yield from table(("policy", "value"), (*_identification(), *_acceptance(config)))
    yield from prose("Rejections (PS3.8 Table 9-21), as result/source/reason:")
    yield from table(("answer", "when"), _rejections())
    yield "##### Status codes of C-STORE"
    yield ""
    yield from table(("status", "category", "when"), _store_statuses())
    yield from prose(
        "Success means that the instance was written, synced, renamed, and its folder synced. "
        "The data set is stored byte for byte as it came; no element is coerced. The same UID "
        "with the same content is stored once. The same UID with other content is kept beside "
        "the first, which stays the one that is analysed."
    )


def _identification() -> Iterable[Sequence[str]]:
    yield "Application context", "`1.2.840.10008.3.1.1.1`"
    yield "Implementation Class UID", f"`{PYNETDICOM_IMPLEMENTATION_UID}`"
    yield "Implementation Version Name", f"`{PYNETDICOM_IMPLEMENTATION_VERSION}`"
    yield "Asynchronous operations", "not supported; one outstanding operation"
    yield "Extended negotiation, user identity", "not supported"


def _acceptance(config: Config) -> Iterable[Sequence[str]]:
    dicom = config.dicom
    yield "Port", f"`dicom.port` ({dicom.port})"
    yield "Associations at the same time", f"`dicom.max_associations` ({dicom.max_associations})"
    yield "Maximum PDU received", f"`dicom.max_pdu_bytes` ({dicom.max_pdu_bytes})"
    yield "Time to ask for an association", f"{REQUEST_SECONDS:g} s"
    yield "Time between PDUs", f"`dicom.timeout_seconds` ({dicom.timeout_seconds:g} s)"


def _rejections() -> Iterable[Sequence[str]]:
    """Every answer that the receiver and the rules of admission have a name for."""
    for answer in (receive._CONTEXT_NOT_SUPPORTED, receive._VERSION_NOT_SUPPORTED):
        yield _spelt(answer), _WHEN[answer]
    rules = [one for one in vars(admission).values() if isinstance(one, admission.Rejection)]
    for rule in rules:
        yield _spelt(rule.answer), f"{rule.reason} ({_SETTINGS[rule.reason]})"


def _spelt(answer: admission.Answer) -> str:
    return "/".join(map(str, answer))


_WHEN = {
    receive._CONTEXT_NOT_SUPPORTED: "another application context than DICOM's",
    receive._VERSION_NOT_SUPPORTED: "another protocol version than 1",
}
_SETTINGS = {
    admission.CALLED.reason: "`dicom.check_called_ae`",
    admission.CALLING.reason: "`dicom.allowed_callers`",
    admission.CONGESTED.reason: "`limits.requests_per_minute`; try again",
    admission.PEER_LIMIT.reason: "`limits.associations_per_peer`; try again",
    admission.LIMIT.reason: "`dicom.max_associations`; try again",
}


def _store_statuses() -> Iterable[Sequence[str]]:
    rows = [
        (intake.SUCCESS, "the instance is safe, or was so already"),
        (
            intake.OUT_OF_RESOURCES,
            "less than `storage.min_free_mb` would be left, or the disk fails",
        ),
        (intake.OUT_OF_RESOURCES, "the instance is larger than `limits.object_mb`"),
        (
            intake.OUT_OF_RESOURCES,
            "the study is beyond `limits.study_mb` or `limits.study_instances`",
        ),
    ]
    rows += [(status, reason) for _, status, reason in intake._RULES]
    rows += [(UnreadableInput.dimse_status, "The header cannot be read")]
    for status, reason in sorted(rows):
        yield f"0x{status:04X}", code_to_category(status), reason


def _results_scu(config: Config) -> Lines:
    yield "#### 3.2.2 RESULTS-SCU"
    yield ""
    yield "##### SOP classes"
    yield ""
    yield from prose(
        "What a destination gets is chosen by `destination.NAME.objects` (by default "
        f"{', '.join(f'`{one}`' for one in config.analysis.outputs)})."
    )
    yield from table(("SOP class", "UID", "for"), _proposed())
    yield from prose(
        "The transfer syntaxes of `destination.NAME.transfer_syntax`, each in a context of its own:"
    )
    yield from table(
        ("setting", "proposed, the best first"),
        [(f"`{name}`", listed(map(str, found))) for name, found in versions._SYNTAXES.items()],
    )
    yield from prose(
        "A measurement report goes as the first SOP class of `destination.NAME.sr_class` that "
        "is accepted and not answered with 0x0122:"
    )
    yield from table(
        ("setting", "SOP classes, the best first"),
        [(f"`{name}`", listed(found)) for name, found in SR_CLASSES.items()],
    )
    yield "##### Association policies"
    yield ""
    yield from table(("policy", "value"), (*_identification(), *_initiation(config)))
    yield "##### Handling of C-STORE answers"
    yield ""
    yield from table(("category of the status", "what follows"), _answers())


def _proposed() -> Iterable[Sequence[str]]:
    yield *named(VERIFICATION), "`sifnode check`, `echo`; a destination that failed"
    yield *named(send.COMMITMENT), "`destination.NAME.commit`"
    purposes: dict[str, list[str]] = {}
    for kind in object_kinds():
        purposes.setdefault(kind.sop_class_uid, []).append(f"`{kind.output}`")
    for lesser in SR_CLASSES["auto"]:
        purposes.setdefault(lesser, []).append("`sr`, `data` where nothing better is accepted")
    for uid, purpose in sorted(purposes.items()):
        yield *named(uid), ", ".join(purpose)


def _initiation(config: Config) -> Iterable[Sequence[str]]:
    settings = config.send
    yield "Associations at the same time", f"{workflow._SENDS_PER_DESTINATION} for each destination"
    yield "Timeout", f"`send.timeout_seconds` ({settings.timeout_seconds:g} s)"
    yield (
        "Retries",
        f"after `send.first_retry_seconds` ({settings.first_retry_seconds:g} s), doubled up to"
        f" `send.max_retry_seconds` ({settings.max_retry_seconds:g} s), for `send.give_up_hours`"
        f" ({settings.give_up_hours:g} h)",
    )
    yield (
        "Circuit",
        f"after `send.circuit_failures` ({settings.circuit_failures}) failures in a row one C-ECHO"
        f" in `send.circuit_probe_seconds` ({settings.circuit_probe_seconds:g} s) until it answers",
    )


def _answers() -> Iterable[Sequence[str]]:
    for category in ("Success", "Warning", "Failure"):
        accepted = category in send._ACCEPTED
        yield (
            category,
            "the object is accepted" if accepted else "that object alone is sent again later",
        )
    yield "0x0122 (SOP class not supported)", "the next SOP class of `sr_class`, if there is one"
    yield "no answer, association ended", "what was not accepted is sent again later"


def _commitment(config: Config) -> Lines:
    yield "#### 3.2.3 COMMITMENT-SCP"
    yield ""
    yield from prose(
        f"Storage Commitment Push Model (`{send.COMMITMENT}`, PS3.4 J.3) as SCU, in Explicit "
        "and Implicit VR Little Endian. N-ACTION goes out on an association of RESULTS-SCU. "
        "The N-EVENT-REPORT is taken on the same association, or on one that the archive "
        f"opens to `commit.port` ({config.commit.port}), with or without role selection (PS3.7 "
        "D.3.3.4). Without an answer in `commit.timeout_seconds` "
        f"({config.commit.timeout_seconds:g} s) it is asked for again."
    )
    yield from table(
        ("failure reason", "told as"),
        [(f"0x{code:04X}", reason) for code, reason in sorted(commit._REASONS.items())],
    )
    yield from prose(
        "An object that failed is sent again. An N-EVENT-REPORT about a transaction that was "
        "not asked for is answered 0x0112."
    )


def _physical(config: Config) -> Lines:
    yield "### 3.3 Network interfaces"
    yield ""
    yield from prose(
        "TCP/IP, IPv4 or IPv6, as the operating system provides them; TCP_NODELAY is set on "
        "both ends of every DICOM connection."
    )
    yield "### 3.4 Configuration"
    yield ""
    yield from prose(
        "One TOML file, every key overridable by the environment; [examples/sifnode.toml] "
        "(../examples/sifnode.toml) holds all of them. Of each destination:"
    )
    defaults = vars(Destination())
    yield from table(
        ("setting", "default"),
        [(f"`{name}`", f"`{value!r}`") for name, value in defaults.items()],
    )
