"""Audit messages of the DICOM schema (PS3.15 A.5.1), as text: values in, one line of XML out.

Written are Application Activity (A.5.3.1), Begin Transferring DICOM Instances (A.5.3.3), DICOM
Instances Transferred (A.5.3.7) and Security Alert (A.5.3.11). Codes: PS3.16 CID 400 to 405.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from dicom_node.settings import number, text

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"
"""Event Outcome Indicators."""

_DCM = "DCM"
_APPLICATION_SERVER = "4"  # Audit Source Type Code
_MACHINE, _ADDRESS, _URI = "1", "2", "5"  # Network Access Point Type Code
_PERSON, _SYSTEM = "1", "2"  # Participant Object Type Code
_PATIENT, _REPORT, _SECURITY_RESOURCE = "1", "3", "13"  # Participant Object Type Code Role
_NO_PATIENT_ID = "<none>"
_UNWRITABLE = re.compile(  # XML 1.0 2.2, and what anybody takes for the end of a line
    "[^ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)

_START, _STOP = ("110120", "Application Start"), ("110121", "Application Stop")
_ALERT_TYPE = ("110126", "Node Authentication")
_APPLICATION = ("110150", "Application")
_DESTINATION, _SOURCE = ("110152", "Destination Role ID"), ("110153", "Source Role ID")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """The audit log.

    Attributes:
        folder: empty for ``audit`` in the data folder.
        file_mb: a file that has grown to this is closed and named after the time.
        site: Audit Enterprise Site ID, which tells one house from another.
    """

    enabled: bool = True
    folder: str = text("", r"|[^\0]{1,4000}")
    file_mb: int = number(16, 1, 10**6)
    site: str = text("", r"[ -~]{0,200}")


@dataclass(frozen=True, kw_only=True)
class Party:
    """An application that takes part.

    Attributes:
        place: address, host name or URI.
    """

    title: str
    place: str
    process: str = ""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Instances of one study that went from one party to another.

    Attributes:
        classes: how many instances of each SOP class, by its UID.
    """

    source: Party
    destination: Party
    study_instance_uid: str
    patient_id: str
    classes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Who writes: the node itself."""

    node: Party
    site: str = ""

    def activity(self, at: float, *, starts: bool) -> str:
        """The node starts or stops; ``at`` in seconds since the epoch, here and below."""
        message = _message(("110100", "Application Activity"), "E", at, SUCCESS)
        _coded(message[0], "EventTypeCode", *(_START if starts else _STOP))
        _participant(message, self.node, _APPLICATION, requests=False)
        return self._told(message)

    def begun(self, at: float, transfer: Transfer) -> str:
        """The first instance of a study comes, or goes."""
        message = _message(("110102", "Begin Transferring DICOM Instances"), "E", at, SUCCESS)
        return self._transfer(message, transfer)

    def transferred(
        self, at: float, transfer: Transfer, *, action: str, outcome: str, reason: str = ""
    ) -> str:
        """Instances went over, or were refused; ``action`` is C or R (A.5.3.7)."""
        message = _message(("110104", "DICOM Instances Transferred"), action, at, outcome)
        if reason:
            SubElement(message[0], "EventOutcomeDescription").text = _plain(reason)
        return self._transfer(message, transfer)

    def alert(self, at: float, who: Party, reason: str) -> str:
        """Somebody was turned away who may not come in."""
        message = _message(("110113", "Security Alert"), "E", at, SERIOUS_FAILURE)
        _coded(message[0], "EventTypeCode", *_ALERT_TYPE)
        _participant(message, self.node, _APPLICATION, requests=False)
        _participant(message, who, _SOURCE, requests=False)
        self._source(message)
        subject = _object(message, who.place or "unknown", ("110182", _DCM, "Node ID"))
        subject.attrib |= _typed(_SYSTEM, _SECURITY_RESOURCE)
        SubElement(subject, "ParticipantObjectName").text = _plain(who.title or who.place)
        value = base64.b64encode(_plain(reason).encode()).decode()
        SubElement(subject, "ParticipantObjectDetail", type="Alert Description", value=value)
        return _line(message)

    def _transfer(self, message: Element, transfer: Transfer) -> str:
        for party, role in ((transfer.source, _SOURCE), (transfer.destination, _DESTINATION)):
            _participant(message, party, role, requests=role is _SOURCE)
        self._source(message)
        kind = ("110180", _DCM, "Study Instance UID")
        study = _object(message, transfer.study_instance_uid, kind)
        study.attrib |= _typed(_SYSTEM, _REPORT)
        SubElement(study, "ParticipantObjectName").text = "Study"
        description = SubElement(study, "ParticipantObjectDescription")
        for uid, count in sorted(transfer.classes.items()):
            SubElement(description, "SOPClass", UID=_plain(uid), NumberOfInstances=str(count))
        number = ("2", "RFC-3881", "Patient Number")
        patient = _object(message, transfer.patient_id or _NO_PATIENT_ID, number)
        patient.attrib |= _typed(_PERSON, _PATIENT)
        SubElement(patient, "ParticipantObjectName").text = ""
        return _line(message)

    def _told(self, message: Element) -> str:
        self._source(message)
        return _line(message)

    def _source(self, message: Element) -> None:
        source = SubElement(message, "AuditSourceIdentification")
        if self.site:
            source.set("AuditEnterpriseSiteID", _plain(self.site))
        source.set("AuditSourceID", _plain(f"{self.node.title}@{self.node.place}"))
        SubElement(source, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})


def _message(event: tuple[str, str], action: str, at: float, outcome: str) -> Element:
    message = Element("AuditMessage")
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    attributes = {
        "EventActionCode": action,
        "EventDateTime": when,
        "EventOutcomeIndicator": outcome,
    }
    _coded(SubElement(message, "EventIdentification", attributes), "EventID", *event)
    return message


def _participant(message: Element, party: Party, role: tuple[str, str], *, requests: bool) -> None:
    attributes = {
        "UserID": _plain(party.process or party.title or party.place or "unknown"),
        "UserIsRequestor": str(requests).lower(),
    }
    if party.title:
        attributes["AlternativeUserID"] = f"AETITLES={_plain(party.title)}"  # A.5.2.2
    if party.place:
        attributes["NetworkAccessPointID"] = _plain(party.place)
        attributes["NetworkAccessPointTypeCode"] = _kind_of_place(party.place)
    _coded(SubElement(message, "ActiveParticipant", attributes), "RoleIDCode", *role)


def _kind_of_place(place: str) -> str:
    if "://" in place:
        return _URI
    return _ADDRESS if re.fullmatch(r"[\d.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", place) else _MACHINE


def _object(message: Element, identifier: str, kind: tuple[str, str, str]) -> Element:
    made = SubElement(
        message, "ParticipantObjectIdentification", ParticipantObjectID=_plain(identifier)
    )
    code, system, meaning = kind
    _coded(made, "ParticipantObjectIDTypeCode", code, meaning, system=system)
    return made


def _typed(kind: str, role: str) -> dict[str, str]:
    return {"ParticipantObjectTypeCode": kind, "ParticipantObjectTypeCodeRole": role}


def _coded(parent: Element, name: str, code: str, meaning: str, *, system: str = _DCM) -> None:
    attributes = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    SubElement(parent, name, attributes)


def _plain(value: str) -> str:
    return _UNWRITABLE.sub("?", value)


def _line(message: Element) -> str:
    return tostring(message, encoding="unicode")
