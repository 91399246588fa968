"""One result as a destination can take it: another SR class, another transfer syntax.

A version is made anew each time and is the same bytes each time. In another SOP class it is another
instance, with a UID that follows from the first one's; the content is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pydicom.uid import ExplicitVRLittleEndian as Explicit
from pydicom.uid import ImplicitVRLittleEndian as Implicit

from dicom_node.answers import COMPREHENSIVE_3D_SR, ENHANCED_SR, SR_CLASSES
from dicom_node.config import Destination
from dicom_node.killpoint import reach
from sifdetect.dicom.uids import result_uid

_SYNTAXES = {
    "explicit": (Explicit, Implicit),
    "implicit": (Implicit,),
    "deflated": (DeflatedExplicitVRLittleEndian, Explicit, Implicit),
}
"""In which transfer syntaxes an uncompressed object may go, the best first."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One result object as it lies on the disk.

    Attributes:
        sop_classes, transfer_syntaxes: as what it may go to a destination, the best first.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    sop_classes: tuple[str, ...]
    transfer_syntaxes: tuple[str, ...]

    def version(self, sop_class_uid: str, transfer_syntax: str, folder: Path) -> Path:
        """The file to send: itself, or a version that is written into ``folder``."""
        if (sop_class_uid, transfer_syntax) == (self.sop_class_uid, self.transfer_syntax):
            return self.path
        dataset = dcmread(self.path)
        dataset.SOPClassUID = UID(sop_class_uid)
        dataset.SOPInstanceUID = UID(self.uid_as(sop_class_uid))
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        syntax = UID(transfer_syntax)
        dataset.file_meta.TransferSyntaxUID = syntax
        path = folder / f"{sop_class_uid}-{transfer_syntax}-{self.path.name}"
        dataset.save_as(
            path,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=True,
            enforce_file_format=True,
        )
        reach("version written")
        return path

    def uid_as(self, sop_class_uid: str) -> str:
        """The SOP Instance UID of the version in that SOP class."""
        if sop_class_uid == self.sop_class_uid:
            return self.sop_instance_uid
        return result_uid("version", self.sop_instance_uid, sop_class_uid)


def result_of(path: Path, destination: Destination) -> Result:
    """A result, and the versions of it that the destination's profile allows."""
    meta = read_file_meta_info(path)
    sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    plain = syntax in (Explicit, Implicit)
    syntaxes = _SYNTAXES[destination.transfer_syntax] if plain else (syntax,)
    return Result(
        path=path,
        sop_class_uid=sop_class,
        sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax=syntax,
        sop_classes=_sop_classes(path, sop_class, destination.sr_class),
        transfer_syntaxes=tuple(str(one) for one in syntaxes),
    )


def _sop_classes(path: Path, sop_class_uid: str, sr_class: str) -> tuple[str, ...]:
    """Measurement reports hold no 3D coordinates, so that the lesser classes can hold them too.

    Source: PS3.3 A.35.2 (Enhanced SR: no by-reference relationships), A.35.3, A.35.13.
    """
    if sop_class_uid != COMPREHENSIVE_3D_SR:
        return (sop_class_uid,)
    by_reference = _refers(dcmread(path, stop_before_pixels=True))
    classes = SR_CLASSES[sr_class]
    return tuple(one for one in classes if not (by_reference and one == ENHANCED_SR)) or classes


def _refers(dataset: Dataset) -> bool:
    return any(
        element.keyword == "ReferencedContentItemIdentifier" for element in dataset.iterall()
    )
