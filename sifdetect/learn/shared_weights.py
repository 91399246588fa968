"""One file of weights for two engines: OpenVINO's graph points into torch's file.

A torch file is a zip whose members are stored as they are, each tensor's bytes in one piece; the
offsets in OpenVINO's ``model.xml`` may therefore name places in ``model.pt``. What the graph needs
beyond the weights (shapes, axes, the epsilon of a normalisation: some hundred bytes) becomes one
more member of the zip, which torch does not read.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from sifdetect.errors import ModelError

CONSTANTS = "openvino_constants"
"""Name of the member that holds what the graph needs beyond the weights."""
ALIGNMENT = 64
"""Bytes; torch's own, and enough for every type and vector unit."""

_BETWEEN = re.compile(rb">\s+<")
_PLACE = re.compile(rb'offset="(\d+)" size="(\d+)"')
_LOCAL_HEADER = 30
"""Bytes of a zip's local header before name and extra field (PKWARE APPNOTE 4.3.7)."""


def share_weights(graph: Path, binary: Path, weights: Path) -> None:
    """Let ``graph`` read its constants from ``weights`` and remove ``binary``.

    Args:
        graph, binary: an OpenVINO model, whose constants in float16 are those of ``weights``.
        weights: state dict in float16 as ``torch.save`` writes it; gains one member.

    Raises:
        ModelError: a constant of more than a kilobyte is not among the weights.
    """
    text, constants = graph.read_bytes(), binary.read_bytes()
    stored = _members(weights)
    spans = sorted({(int(at), int(size)) for at, size in _PLACE.findall(text)})
    places: dict[tuple[int, int], int] = {}
    rest = bytearray()
    for at, size in spans:
        value = constants[at : at + size]
        if value in stored:
            places[at, size] = stored[value]
            continue
        if size > 1024:
            raise ModelError(f"A constant of {size} bytes in {graph.name} is no weight")
        places[at, size] = -len(rest) - 1
        rest += value + bytes(-size % ALIGNMENT)
    start = _append(weights, bytes(rest))
    for span, place in places.items():
        if place < 0:
            places[span] = start - place - 1

    def moved(match: re.Match[bytes]) -> bytes:
        at, size = int(match[1]), int(match[2])
        return b'offset="%d" size="%d"' % (places[at, size], size)

    graph.write_bytes(_BETWEEN.sub(b"><", _PLACE.sub(moved, text)))  # indents are half of it
    binary.unlink()


def _members(path: Path) -> dict[bytes, int]:
    """Where each tensor's bytes start in a torch file, by the bytes."""
    content = path.read_bytes()
    found = {}
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if "/data/" in item.filename and item.compress_type == zipfile.ZIP_STORED:
                start = _start(content, item)
                found[content[start : start + item.file_size]] = start
    return found


def _start(content: bytes, item: zipfile.ZipInfo) -> int:
    """Offset of a member's bytes: behind its local header, its name and its extra field."""
    header = content[item.header_offset : item.header_offset + _LOCAL_HEADER]
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return item.header_offset + _LOCAL_HEADER + name + extra


def _append(path: Path, rest: bytes) -> int:
    """Add a member; the offset of its first aligned byte, from which ``rest`` is stored."""
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.infolist()[0].filename.partition("/")[0]
        item = zipfile.ZipInfo(f"{folder}/{CONSTANTS}")  # without a date: the same bytes every time
        unaligned = archive.start_dir + _LOCAL_HEADER + len(item.filename)
        padding = -unaligned % ALIGNMENT
        archive.writestr(item, bytes(padding) + rest)
    return unaligned + padding
