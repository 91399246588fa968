"""Private blocks of the three styles: laid out as vendors lay theirs out, owned by no vendor.

A private creator (PS3.5 7.8.1) names the owner of what its block means; these blocks are defined
here alone and so are their creators.
"""

from __future__ import annotations

from pydicom import Dataset

from sifdetect.anatomy import Modality
from sifdetect.dicom.vendor_styles import Style

BLOB_BYTES = 2048
"""Long enough that a reader must skip it, short enough for a test."""

_WORDS = b"SYNTHETIC, NOT FROM A SCANNER\0"


def add_private(dataset: Dataset, style: Style, modality: Modality) -> None:
    """Add the style's private blocks to a data set whose public attributes are set."""
    {"A": _blobs, "B": _numbered, "C": _nested}[style.name](dataset, modality)


def _blobs(dataset: Dataset, modality: Modality) -> None:
    """Two opaque headers, of image and series, and words about coil and table."""
    header = dataset.private_block(0x0029, "SYNTHETIC CSA HEADER", create=True)
    header.add_new(0x08, "CS", "IMAGE NUM 4")
    header.add_new(0x09, "LO", str(dataset.get("StudyDate", "")))
    header.add_new(0x10, "OB", _blob(b"IMAGE", int(dataset.InstanceNumber)))
    header.add_new(0x18, "CS", modality.value)
    header.add_new(0x20, "OB", _blob(b"SERIES", int(dataset.SeriesNumber)))
    words = dataset.private_block(0x0051, f"SYNTHETIC {modality.value} HEADER", create=True)
    words.add_new(0x08, "CS", "IMAGE NUM 4")
    words.add_new(0x0C, "LO", f"FoV {dataset.Columns}*{dataset.Rows}")
    words.add_new(0x0F, "LO", "BO1,2;SP3,4" if modality is Modality.MR else "T1")


def _numbered(dataset: Dataset, modality: Modality) -> None:
    """Many numbers in several groups, some of them of no known meaning (VR UN)."""
    identity = dataset.private_block(0x0009, "SYNTHETIC_IDEN_01", create=True)
    identity.add_new(0x01, "LO", "SYNTHETIC_IDEN_01")
    identity.add_new(0x27, "SL", 1_700_000_000 + int(dataset.SeriesNumber))
    acquired = dataset.private_block(0x0019, "SYNTHETIC_ACQU_01", create=True)
    acquired.add_new(0x23, "DS", "39.37")
    acquired.add_new(0x9C, "LO", "FSE" if modality is Modality.MR else "HELICAL")
    acquired.add_new(0x9F, "UN", b"\x01\x00")
    parameters = dataset.private_block(0x0043, "SYNTHETIC_PARM_01", create=True)
    parameters.add_new(0x10, "US", 400)
    parameters.add_new(0x2C, "SS", 9)
    parameters.add_new(0x39, "IS", [0, 0, 0, 0])
    parameters.add_new(0x62, "UN", b"SYNTHETIC ")


def _nested(dataset: Dataset, modality: Modality) -> None:
    """Floats and a sequence whose items hold private blocks of their own."""
    imaging = dataset.private_block(0x2001, "SYNTHETIC IMAGING DD 001", create=True)
    imaging.add_new(0x0A, "IS", int(dataset.InstanceNumber))
    imaging.add_new(0x18, "SL", 1)
    imaging.add_new(0x1B, "FL", 0.0)
    own = dataset.private_block(0x2005, f"SYNTHETIC {modality.value} IMAGING DD 001", create=True)
    own.add_new(0x0D, "FL", 0.0)
    own.add_new(0x0E, "FL", float(dataset.get("RescaleSlope", 1) or 1))
    item = Dataset()
    item.SliceThickness = dataset.SliceThickness
    inner = item.private_block(0x2005, f"SYNTHETIC {modality.value} IMAGING DD 005", create=True)
    inner.add_new(0x71, "FL", 0.0)
    own.add_new(0x0F, "SQ", [item])


def _blob(kind: bytes, number: int) -> bytes:
    start = kind + b"\0" + number.to_bytes(4, "little") + _WORDS
    return (start * (BLOB_BYTES // len(start) + 1))[:BLOB_BYTES]
