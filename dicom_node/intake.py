"""What is let in: rules over the header of one instance, without files, sockets or pydicom.

A sender's identifier is never used as a file name; it is hashed first, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""C-STORE answers (PS3.4 Table B.2-1)."""

RESULT_MANUFACTURER = "sifdetect project"
"""Manufacturer (0008,0070) of the results, by which they are known when they come back."""

_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", re.ASCII)  # PS3.5 9.1
_UID_LENGTH = 64
_ANYBODY = "*"

IMAGES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        "2",  # CT Image Storage
        "2.1",  # Enhanced CT
        "2.2",  # Legacy Converted Enhanced CT
        "4",  # MR Image Storage
        "4.1",  # Enhanced MR
        "4.3",  # Enhanced MR Color
        "4.4",  # Legacy Converted Enhanced MR
    )
)
"""SOP classes that a report can rest on (PS3.4 B.5); anything else is kept and not analysed."""


class Kind(Enum):
    """What an instance is to the node; the value names its folder in the spool."""

    IMAGE = "images"
    OTHER = "others"
    RETURNED = "returned"


@dataclass(frozen=True, kw_only=True)
class Header:
    """The attributes that decide what happens to an instance; empty where absent.

    Attributes:
        patient_id: for the audit log alone.
        equipment: Manufacturer of each item of the Contributing Equipment Sequence (0018,A001).
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    manufacturer: str = ""
    patient_id: str = ""
    equipment: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Command:
    """What the C-STORE request, or a file sent by STOW-RS, says that it carries.

    Attributes:
        study_instance_uid: the only study that is asked for; empty for any.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why an instance is not let in, and the status that tells the sender."""

    status: int
    reason: str


def is_valid_uid(text: str) -> bool:
    """Whether ``text`` is a UID: at most 64 characters, digits and dots, no leading zeros."""
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


@lru_cache(1024)
def name_of(identifier: str) -> str:
    """A file name for an identifier that a peer supplied: its SHA-256, in hexadecimal."""
    return sha256(identifier.encode("utf-8", "surrogateescape")).hexdigest()


def refusal(header: Header, command: Command) -> Refusal | None:
    """The first rule that this instance breaks, or None where it may come in."""
    for broken, status, reason in _RULES:
        if broken(header, command):
            return Refusal(status, reason)
    return None


def kind_of(header: Header) -> Kind:
    """Whether an instance is an image to analyse, one of the node's own results, or neither.

    An image is never taken for a result, whoever made it: results are no CT or MR images.
    """
    if header.sop_class_uid in IMAGES:
        return Kind.IMAGE
    makers = (header.manufacturer, *header.equipment)
    return Kind.RETURNED if RESULT_MANUFACTURER in makers else Kind.OTHER


def may_call(title: str, address: str, allowed: tuple[str, ...]) -> bool:
    """Whether a calling AE is let in.

    Args:
        allowed: ``AE``, ``AE@ADDRESS`` or ``AE@NETWORK/BITS``; ``*`` stands for any AE title; empty
            lets all in.
    """
    return not allowed or any(_fits(title, address, entry) for entry in allowed)


def network_of(entry: str) -> IPv4Network | IPv6Network | None:
    """The network in ``AE@NETWORK/BITS`` or ``AE@ADDRESS``; None where there is none."""
    try:
        return ip_network(entry.rpartition("@")[2])
    except ValueError:
        return None


def _fits(title: str, address: str, entry: str) -> bool:
    known, at, _ = entry.rpartition("@")
    if not at:
        return entry in (title, _ANYBODY)
    network, caller = network_of(entry), _plain_address(address)
    return known in (title, _ANYBODY) and bool(network and caller) and caller in (network or ())


def _plain_address(address: str) -> IPv4Address | IPv6Address | None:
    """A caller's address; one of IPv4 also where it came through an IPv6 socket."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def is_room_left(free_bytes: int, incoming_bytes: int, min_free_mb: int) -> bool:
    """Whether the limit of free space still holds once the instance is written."""
    return free_bytes - incoming_bytes >= min_free_mb * 1024 * 1024


_RULES: tuple[tuple[Callable[[Header, Command], bool], int, str], ...] = (
    (
        lambda header, _: not is_valid_uid(header.study_instance_uid),
        CANNOT_UNDERSTAND,
        "Study Instance UID missing or not valid",
    ),
    (
        lambda header, _: not is_valid_uid(header.series_instance_uid),
        CANNOT_UNDERSTAND,
        "Series Instance UID missing or not valid",
    ),
    (
        lambda header, _: not is_valid_uid(header.sop_instance_uid),
        CANNOT_UNDERSTAND,
        "SOP Instance UID missing or not valid",
    ),
    (
        lambda header, command: header.sop_instance_uid != command.sop_instance_uid,
        MISMATCH,
        "SOP Instance UID differs between request and data set",
    ),
    (
        lambda header, command: header.sop_class_uid != command.sop_class_uid,
        MISMATCH,
        "SOP Class UID differs between request and data set",
    ),
    (
        lambda header, command: command.study_instance_uid not in ("", header.study_instance_uid),
        MISMATCH,
        "Study Instance UID differs between request and data set",
    ),
)
