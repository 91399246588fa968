"""What an Enhanced MR image says of its pulse sequence, from a classic image of the same series."""

from __future__ import annotations

from pydicom import Dataset

from sifdetect.anatomy import MrWeighting
from sifdetect.dicom.items import frame_type, item
from sifdetect.volume import Volume

CONTRAST = {
    MrWeighting.STIR: "STIR",
    MrWeighting.T2_FATSAT: "T2",
    MrWeighting.DIXON_WATER: "T2",
    MrWeighting.T2: "T2",
    MrWeighting.T1: "T1",
    MrWeighting.OTHER: "PROTON_DENSITY",
}
"""Acquisition Contrast (0008,9209), PS3.3 C.8.13.3.1.1."""


def pulse_sequence(result: Dataset, first: Dataset, volume: Volume) -> None:
    """Add the attributes of the MR Image and MR Pulse Sequence modules (PS3.3 C.8.13.1, C.8.13.4).

    A derived image, such as the water image of a Dixon method, may not have the latter.

    Args:
        result: the multi-frame.
        first: a classic image of the series.
    """
    result.AcquisitionContrast = CONTRAST[volume.weighting or MrWeighting.OTHER]
    result.ComplexImageComponent = "MAGNITUDE"
    result.ResonantNucleus = "1H"
    result.KSpaceFiltering = "NONE"
    result.ApplicableSafetyStandardAgency = "IEC"
    if first.ImageType[0] == "DERIVED":
        return
    result.PulseSequenceName = str(first.get("SequenceName", "")) or "TSE"
    result.MRAcquisitionType = "2D"
    result.EchoPulseSequence = "SPIN"
    result.MultipleSpinEcho = "YES" if int(first.EchoTrainLength) > 1 else "NO"
    result.MultiPlanarExcitation = "NO"
    result.PhaseContrast = "NO"
    result.TimeOfFlightContrast = "NO"
    result.SteadyStatePulseSequence = "NONE"
    result.EchoPlanarPulseSequence = "NO"
    result.SaturationRecovery = "NO"
    suppressed = "FS" in (first.get("ScanOptions") or "")
    result.SpectrallySelectedSuppression = "FAT" if suppressed else "NONE"
    result.GeometryOfKSpaceTraversal = "RECTILINEAR"
    result.SegmentedKSpaceTraversal = "PARTIAL"
    result.RectilinearPhaseEncodeReordering = "LINEAR"
    result.OversamplingPhase = "2D"
    result.NumberOfKSpaceTrajectories = 1


def mr_groups(first: Dataset, volume: Volume) -> Dataset:
    """Functional groups that all frames share (PS3.3 C.8.13.5)."""
    train = int(first.EchoTrainLength)
    groups = item(
        MRImageFrameTypeSequence=[
            item(
                FrameType=frame_type(first),
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast=CONTRAST[volume.weighting or MrWeighting.OTHER],
            )
        ],
        MRTimingAndRelatedParametersSequence=[
            item(
                RepetitionTime=first.RepetitionTime,
                FlipAngle=first.get("FlipAngle", "90"),
                EchoTrainLength=train,
                RFEchoTrainLength=train,
                GradientEchoTrainLength=0,
                SpecificAbsorptionRateSequence=[
                    item(
                        SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                        SpecificAbsorptionRateValue=1.5,
                    )
                ],
                OperatingModeSequence=[item(OperatingModeType="RF", OperatingMode="IEC_NORMAL")],
                GradientOutputType="DB_DT",
                GradientOutput=20.0,
            )
        ],
        MREchoSequence=[item(EffectiveEchoTime=float(first.EchoTime))],
        MRModifierSequence=[_modifier(first)],
        MRImagingModifierSequence=[_imaging(first)],
        MRAveragesSequence=[item(NumberOfAverages=first.get("NumberOfAverages", "1"))],
    )
    groups.update(_hardware(first))
    return groups


def _modifier(first: Dataset) -> Dataset:
    inverted = "InversionTime" in first
    return item(
        InversionRecovery="YES" if inverted else "NO",
        InversionTimes=float(first.InversionTime) if inverted else None,
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )


def _imaging(first: Dataset) -> Dataset:
    return item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=float(first.get("ImagingFrequency", 63.87)),
        PixelBandwidth="200",
    )


def _hardware(first: Dataset) -> Dataset:
    """Field of view in k-space, coils."""
    coil = str(first.get("ReceiveCoilName", "SYNTHETIC"))
    return item(
        MRFOVGeometrySequence=[
            item(
                InPlanePhaseEncodingDirection="ROW",
                MRAcquisitionFrequencyEncodingSteps=int(first.Rows),
                MRAcquisitionPhaseEncodingStepsInPlane=int(first.Columns),
                PercentSampling="100",
                PercentPhaseFieldOfView="100",
            )
        ],
        MRReceiveCoilSequence=[
            item(
                ReceiveCoilName=coil,
                ReceiveCoilManufacturerName="SYNTHETIC",
                ReceiveCoilType="MULTICOIL",
                QuadratureReceiveCoil="NO",
                MultiCoilDefinitionSequence=[
                    item(MultiCoilElementName="1", MultiCoilElementUsed="YES")
                ],
            )
        ],
        MRTransmitCoilSequence=[
            item(
                TransmitCoilName="BODY",
                TransmitCoilManufacturerName="SYNTHETIC",
                TransmitCoilType="BODY",
            )
        ],
    )
