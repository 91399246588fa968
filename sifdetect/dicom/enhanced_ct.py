"""What an Enhanced CT image says of its scan, from a classic image of the same series."""

from __future__ import annotations

from pydicom import Dataset

from sifdetect.dicom.items import frame_type, item
from sifdetect.dicom.uids import result_uid

COLLIMATION_MM = (0.6, 38.4)
"""Width of one row of the detector, and of all: 64 rows, an ordinary scanner."""


def ct_groups(first: Dataset) -> Dataset:
    """Functional groups that all frames share (PS3.3 C.8.15.3).

    Args:
        first: a classic image of the series; what it leaves out is that of an ordinary scan.
    """
    groups = item(
        CTImageFrameTypeSequence=[
            item(
                FrameType=frame_type(first),
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
            )
        ],
        CTAcquisitionTypeSequence=[
            item(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO")
        ],
        CTXRayDetailsSequence=[
            item(
                KVP=first.KVP,
                FocalSpots=[1.0],
                FilterType=first.get("FilterType", "FLAT"),
                FilterMaterial=["ALUMINUM"],
            )
        ],
    )
    event = result_uid("irradiation event", str(first.SeriesInstanceUID))
    groups.IrradiationEventIdentificationSequence = [item(IrradiationEventUID=event)]
    groups.update(_acquisition(first))
    groups.update(_geometry())
    groups.update(_reconstruction(first))
    return groups


def _acquisition(first: Dataset) -> Dataset:
    pitch = float(first.get("SpiralPitchFactor", 1.0))
    rotation = float(first.get("RevolutionTime", 0.5))
    single, total = COLLIMATION_MM
    milliamperes = float(first.get("XRayTubeCurrent", 200))
    return item(
        CTAcquisitionDetailsSequence=[
            item(
                RotationDirection="CW",
                RevolutionTime=rotation,
                SingleCollimationWidth=single,
                TotalCollimationWidth=total,
                TableHeight=150.0,
                GantryDetectorTilt=0.0,
                DataCollectionDiameter=500.0,
            )
        ],
        CTTableDynamicsSequence=[
            item(
                TableSpeed=pitch * total / rotation,
                TableFeedPerRotation=pitch * total,
                SpiralPitchFactor=pitch,
            )
        ],
        CTExposureSequence=[
            item(
                ExposureTimeInms=1000 * rotation,
                XRayTubeCurrentInmA=milliamperes,
                ExposureInmAs=milliamperes * rotation / pitch,
                ExposureModulationType="NONE",
            )
        ],
    )


def _geometry() -> Dataset:
    """Table and gantry, where they are by default."""
    return item(
        CTPositionSequence=[
            item(
                TablePosition=0.0,
                DataCollectionCenterPatient=[0.0, 0.0, 0.0],
                ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0],
            )
        ],
        CTGeometrySequence=[
            item(DistanceSourceToDetector=1085.6, DistanceSourceToDataCollectionCenter=595.0)
        ],
    )


def _reconstruction(first: Dataset) -> Dataset:
    kernel = first.ConvolutionKernel
    soft = any(word in str(kernel) for word in ("Br40", "STANDARD", "'B'")) or kernel == "B"
    rows_mm, columns_mm = (float(value) for value in first.PixelSpacing)
    return item(
        CTReconstructionSequence=[
            item(
                ReconstructionAlgorithm="FILTER_BACK_PROJ",
                ConvolutionKernel=kernel,
                ConvolutionKernelGroup="SOFT_TISSUE" if soft else "BONE",
                ReconstructionFieldOfView=[first.Columns * columns_mm, first.Rows * rows_mm],
                ReconstructionPixelSpacing=[rows_mm, columns_mm],
                ReconstructionAngle=360.0,
                ImageFilter="NONE",
            )
        ],
    )
