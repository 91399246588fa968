"""What a peer says to a storage SCP, byte by byte, and what comes back (PS3.8 9.3, PS3.7 9.3)."""

from __future__ import annotations

import socket
import struct
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

from tests import node_world as world

CORPUS = Path(__file__).with_name("corpus") / "associations"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
RELEASE = struct.pack(">BxLL", 5, 4, 0)
ABORTED, REJECTED, ACCEPTED, DATA, RELEASED = 7, 3, 2, 4, 6
SECONDS = 60


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its header."""
    return struct.pack(">BxL", kind, len(body)) + body


def request(
    *classes: str, called: str = "SIFDETECT", calling: str = "SCANNER", max_length: int = 0
) -> bytes:
    """An A-ASSOCIATE-RQ with contexts 1, 3, 5 … in Explicit VR Little Endian."""
    contexts = b"".join(
        item(0x20, struct.pack("BxBx", 2 * n + 1, 255) + item(0x30, uid) + item(0x40, EXPLICIT))
        for n, uid in enumerate(classes or (CT,))
    )
    titles = f"{called:<16}{calling:<16}".encode() + bytes(32)
    user = item(0x50, item(0x51, struct.pack(">L", max_length)))
    application = item(0x10, "1.2.840.10008.3.1.1.1")
    return pdu(1, struct.pack(">Hxx", 1) + titles + application + contexts + user)


def item(kind: int, value: bytes | str) -> bytes:
    """An item of an association request."""
    encoded = value.encode() if isinstance(value, str) else value
    return struct.pack(">BxH", kind, len(encoded)) + encoded


def pdv(data: bytes, control: int, context: int = 1) -> bytes:
    """A presentation data value; ``control``: 1 command, 2 last."""
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def c_store(instance: str, *, field: int = 1, has_data: bool = True, sop_class: str = CT) -> bytes:
    """The command set of a C-STORE request, or of another one with the same elements."""
    uid = instance.encode() + b"\0" * (len(instance) % 2)
    elements = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value
        for element, value in (
            (0x0002, sop_class.encode() + b"\0" * (len(sop_class) % 2)),
            (0x0100, struct.pack("<H", field)),
            (0x0110, b"\7\0"),
            (0x0800, b"\0\0" if has_data else b"\1\1"),
            (0x1000, uid),
        )
    )
    return struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements


def slice_bytes(
    study: str = "1.2.3", *, implicit: bool = False, nested: bool | None = None
) -> bytes:
    """One encoded CT slice, ``<study>.1.1``, without preamble and file meta.

    Args:
        nested: adds sequences in sequences before the UIDs, of undefined length where true.
    """
    made = world.image(study)
    if nested is not None:
        inner, outer = Dataset(), Dataset()
        inner.CodeValue = "T-11AD0"
        inner.is_undefined_length_sequence_item = nested
        outer.AnatomicRegionSequence = [inner]
        outer.is_undefined_length_sequence_item = nested
        made.ReferencedImageSequence = [outer, outer]
        for holder, keyword in (
            (outer, "AnatomicRegionSequence"),
            (made, "ReferencedImageSequence"),
        ):
            holder[keyword].is_undefined_length = nested
    del made.file_meta
    stream = BytesIO()
    wrapped = DicomIO(stream)
    wrapped.is_little_endian, wrapped.is_implicit_VR = True, implicit
    write_dataset(wrapped, made)
    return stream.getvalue()


def store(study: str = "1.2.3") -> bytes:
    """A whole conversation that stores one slice in three fragments."""
    body = slice_bytes(study)
    return (
        request()
        + pdu(4, pdv(c_store(f"{study}.1.1"), 3))
        + pdu(4, pdv(body[:100], 0) + pdv(body[100:700], 0))
        + pdu(4, pdv(body[700:], 2))
        + RELEASE
    )


def answers(port: int, said: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each PDU that comes back until the connection is closed.

    Raises:
        TimeoutError: it stays open although nothing more will be said.
    """
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as visitor:
        try:
            visitor.sendall(said)
            visitor.shutdown(socket.SHUT_WR)
            while received := visitor.recv(65536):
                heard += received
        except ConnectionError:
            pass
    return split(heard)


def split(heard: bytes) -> list[tuple[int, bytes]]:
    """The PDUs in a stream."""
    found = []
    while heard:
        kind, length = struct.unpack_from(">BxL", heard)
        found.append((kind, heard[6 : 6 + length]))
        heard = heard[6 + length :]
    return found


def status_in(body: bytes) -> int:
    """Status (0000,0900) of the response in a P-DATA-TF."""
    position = body.index(struct.pack("<HHL", 0, 0x0900, 2)) + 8
    return int.from_bytes(body[position : position + 2], "little")


def bad() -> dict[str, bytes]:
    """What breaks the rules once an association stands, by name."""
    command, body = c_store("1.2.3.1.1"), slice_bytes()
    return {
        "pdu-empty": pdu(4, b""),
        "pdu-of-5": pdu(4, bytes(5)),
        "pdu-huge": struct.pack(">BxL", 4, 0xFFFFFFF0) + bytes(4096),
        "pdu-unknown": pdu(9, bytes(4)),
        "pdv-overruns": pdu(4, struct.pack(">LBB", 5000, 1, 3) + command),
        "pdv-of-1": pdu(4, struct.pack(">LBB", 1, 1, 3)),
        "context-unknown": pdu(4, pdv(command, 3, context=99)),
        "context-even": pdu(4, pdv(command, 3, context=2)),
        "data-before-command": pdu(4, pdv(body, 2)),
        "command-within-data": pdu(4, pdv(command, 3) + pdv(body[:50], 0) + pdv(command, 3)),
        "command-endless": pdu(4, pdv(bytes(16000), 1)) * 2,
        "command-truncated": pdu(4, pdv(command[:-3], 3)),
        "command-empty": pdu(4, pdv(b"", 3)),
        "command-of-c-find": pdu(4, pdv(c_store("1.2", field=0x20), 3)),
        "second-request": request(),
    }


def write_corpus() -> None:
    """Write the seeds of the fuzz test anew."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    seeds = {name: request() + said + RELEASE for name, said in bad().items()}
    seeds |= {
        "store": store(),
        "truncated-pixels": store()[:-1500],
        "truncated-request": request()[:80],
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    }
    for name, said in seeds.items():
        (CORPUS / f"{name}.bin").write_bytes(said)


if __name__ == "__main__":
    write_corpus()
