"""The structure of audit messages, stated from PS3.15 A.5.1 apart from the code that writes them.

Elements in their order with how often they may come, attributes with what they may hold, and the
tables of A.5.3 for the events that the node reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree.ElementTree import Element, fromstring

UID = r"[0-2](\.(0|[1-9]\d*))+"
TOKEN = r"\S(.*\S)?|"
CODE = {"csd-code": r"\S+", "codeSystemName": r"\S+", "originalText": r"\S(.*\S)?"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


@dataclass(frozen=True)
class Rule:
    """What an element may hold; ``children`` is a pattern over their names, each with a blank."""

    children: str = ""
    required: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)


_CODED = Rule("", CODE, {"displayName": TOKEN})
RULES = {
    "AuditMessage": Rule(
        "EventIdentification (ActiveParticipant )+AuditSourceIdentification "
        "(ParticipantObjectIdentification )*"
    ),
    "EventIdentification": Rule(
        "EventID (EventTypeCode )*(EventOutcomeDescription )?",
        {"EventDateTime": TIME, "EventOutcomeIndicator": "0|4|8|12"},
        {"EventActionCode": "[CRUDE]"},
    ),
    "EventID": _CODED,
    "EventTypeCode": _CODED,
    "EventOutcomeDescription": Rule(),
    "ActiveParticipant": Rule(
        "(RoleIDCode )*(MediaIdentifier )?",
        {"UserID": ".+", "UserIsRequestor": "true|false|0|1"},
        {
            "AlternativeUserID": ".*",
            "UserName": ".*",
            "NetworkAccessPointID": TOKEN,
            "NetworkAccessPointTypeCode": "[1-5]",
        },
    ),
    "RoleIDCode": _CODED,
    "AuditSourceIdentification": Rule(
        "(AuditSourceTypeCode )*", {"AuditSourceID": TOKEN}, {"AuditEnterpriseSiteID": TOKEN}
    ),
    "AuditSourceTypeCode": Rule("", {"csd-code": "[1-9]"}),
    "ParticipantObjectIdentification": Rule(
        "ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )"
        "(ParticipantObjectDetail )*(ParticipantObjectDescription )*",
        {"ParticipantObjectID": TOKEN},
        {
            "ParticipantObjectTypeCode": "[1-4]",
            "ParticipantObjectTypeCodeRole": "[1-9]|1[0-9]|2[0-6]",
            "ParticipantObjectDataLifeCycle": "[1-9]|1[0-5]",
            "ParticipantObjectSensitivity": TOKEN,
        },
    ),
    "ParticipantObjectIDTypeCode": _CODED,
    "ParticipantObjectName": Rule(),
    "ParticipantObjectDetail": Rule("", {"type": TOKEN, "value": r"[A-Za-z0-9+/]*={0,2}"}),
    "ParticipantObjectDescription": Rule("(MPPS )*(Accession )*(SOPClass )*"),
    "SOPClass": Rule("", {"NumberOfInstances": r"\d+"}, {"UID": UID}),
}

EVENTS = {  # event: action codes, type codes, roles of participants, kinds of objects (A.5.3)
    "110100": ("E", {"110120", "110121"}, ["110150"], []),
    "110102": ("E", None, ["110152", "110153"], ["110180", "2"]),
    "110104": ("CRU", None, ["110152", "110153"], ["110180", "2"]),
    "110113": ("E", {"110126"}, ["110150", "110153"], ["110182"]),
}


def complaints(line: str) -> list[str]:
    """What is wrong with a message; empty where nothing is.

    Raises:
        ParseError: it is no XML.
    """
    root = fromstring(line)
    found = [] if root.tag == "AuditMessage" else ["the root is no AuditMessage"]
    for element in root.iter():
        found += _of_element(element)
    return found or _of_event(root)


def _of_element(element: Element) -> list[str]:
    rule = RULES.get(element.tag)
    if rule is None:
        return [f"{element.tag} is not in the schema"]
    found = []
    names = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(rule.children, names):
        found.append(f"{element.tag} holds {names}")
    found += [f"{element.tag} lacks {key}" for key in rule.required if key not in element.attrib]
    for key, value in element.attrib.items():
        pattern = {**rule.required, **rule.optional}.get(key)
        if pattern is None or not re.fullmatch(pattern, value):
            found.append(f"{element.tag} has {key}={value!r}")
    return found


def _of_event(root: Element) -> list[str]:
    event = root[0]
    datetime.fromisoformat(event.attrib["EventDateTime"])
    actions, types, roles, objects = EVENTS[event[0].attrib["csd-code"]]
    found = [] if event.attrib["EventActionCode"] in actions else ["the action is another"]
    if types is not None and not {one.attrib["csd-code"] for one in event[1:2]} <= types:
        found.append("the type is another")
    told = sorted(one.attrib["csd-code"] for one in root.iter("RoleIDCode"))
    kinds = [one.attrib["csd-code"] for one in root.iter("ParticipantObjectIDTypeCode")]
    requestors = [
        one for one in root.iter("ActiveParticipant") if one.get("UserIsRequestor") == "true"
    ]
    if told != roles or kinds != objects or len(requestors) > 1:
        found.append(f"participants {told}, objects {kinds}, requestors {len(requestors)}")
    return found
