"""Deflated data sets (PS3.5 A.5): whether one is a bomb, before anybody inflates it whole."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from sifdetect.dicom.files import BOMB_BYTES, BOMB_RATIO
from sifdetect.errors import UnreadableInput

MOST_BYTES = 512 * 1024**2
"""A data set that inflates to more is read from no file: 1000 slices of 512×512 in 16 bits."""

_PREAMBLE_BYTES = 132
_PIECE = 1 << 20


def is_deflated(stream: BinaryIO) -> bool:
    """Whether a file says that its data set is deflated; leaves ``stream`` where that begins."""
    if stream.read(_PREAMBLE_BYTES)[128:] != b"DICM":
        return False
    meta: Dataset = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def refuse_bomb(stream: BinaryIO) -> None:
    """Inflate from where ``stream`` stands, keep nothing, and stop where it gets too much.

    Raises:
        UnreadableInput: it inflates to more than an image would.
        zlib.error: it is not deflated.
    """
    inflater, packed, size = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    while piece := inflater.unconsumed_tail or stream.read(_PIECE):
        packed += 0 if inflater.unconsumed_tail else len(piece)
        size += len(inflater.decompress(piece, _PIECE))
        if size > MOST_BYTES or size > max(BOMB_BYTES, BOMB_RATIO * packed):
            raise UnreadableInput(
                f"its deflated data set grows beyond {size // 1024**2} MB, more than an image has"
            )
        if inflater.eof:
            return
