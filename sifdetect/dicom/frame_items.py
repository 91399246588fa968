"""The functional groups of a segmentation's frames, kept as they will be written.

Writing them one attribute at a time took longer than making them: three hundred frames say the same
few positions, sources and segments again and again. So each is encoded once, and the frames hold
the bytes, as those of a data set do that was read from a file. Whoever asks for a value gets it
parsed; whoever writes in another transfer syntax gets it encoded anew.
"""

from __future__ import annotations

from struct import pack

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_sequence

_DERIVATION = tag_for_keyword("DerivationImageSequence")
_CONTENT = tag_for_keyword("FrameContentSequence")
_SEGMENT = tag_for_keyword("SegmentIdentificationSequence")


def keep_as_written(result: Dataset) -> Dataset:
    """Encode the Per-Frame Functional Groups of ``result`` in Explicit VR Little Endian.

    Frames that share the items of an element, as the library makes them, share its bytes. The rest
    of ``result`` keeps its values; what is set in it from here on must have a value representation
    that does not depend on other attributes. Returns ``result``.
    """
    known: dict[tuple[int, ...], RawDataElement] = {}
    frames = []
    for groups in result.PerFrameFunctionalGroupsSequence:
        frame = Dataset()
        for element in groups:
            key = (element.tag, *_identity(element))
            if key not in known:
                known[key] = _encoded(element)
            frame[element.tag] = known[key]
        frame.set_original_encoding(False, True, default_encoding)
        frames.append(frame)
    result.PerFrameFunctionalGroupsSequence = []
    correct_ambiguous_vr(result, is_little_endian=True)  # nobody does it for what was read so
    result.PerFrameFunctionalGroupsSequence = frames
    named = result.get("SpecificCharacterSet")
    written = convert_encodings(named) if named else default_encoding
    result.set_original_encoding(False, True, written)
    return result


def _identity(element: DataElement) -> tuple[int, ...]:
    """What two elements of the same tag have in common where they say the same."""
    if not element.value:
        return ()
    first = element.value[0]
    if element.tag == _SEGMENT:
        return (int(first.ReferencedSegmentNumber),)
    if element.tag == _DERIVATION:
        return tuple(id(source) for source in first.SourceImageSequence)
    return (id(first),)


def _encoded(element: DataElement) -> RawDataElement:
    value = _place(element.value[0]) if element.tag == _CONTENT else _written(element)
    return RawDataElement(element.tag, element.VR, len(value), value, 0, False, True)


def _written(element: DataElement) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_sequence(stream, element, [default_encoding])
    return bytes(stream.getvalue())


def _place(item: Dataset) -> bytes:
    """The item that differs from frame to frame: Dimension Index Values (UL) and nothing else."""
    indices = [int(index) for index in item.DimensionIndexValues]
    element = pack("<HH2sH", 0x0020, 0x9157, b"UL", 4 * len(indices))
    body = element + pack(f"<{len(indices)}I", *indices)
    return pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
