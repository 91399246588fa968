"""How three kinds of scanner fill their headers: protocols, words, kernels, stored values.

None of them is a real product: what is taken from the public conformance statements of large
vendors is the layout (which attributes, which values of Image Type, which words), see
docs/decisions/0006-headers-of-three-styles.md. Several values of one attribute are parted by a
backslash, as in a DICOM file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sifdetect.anatomy import MrWeighting, Plane


@dataclass(frozen=True)
class MrScan:
    """One pulse sequence as a style writes it; milliseconds.

    Attributes:
        description: Series Description (0008,103E); ``{plane}`` is the style's word for it.
        sequence: Scanning Sequence (0018,0020).
        train: Echo Train Length (0018,0091).
        options: Scan Options (0018,0022).
        image_type: Image Type (0008,0008) where it is not that of the style's other sequences.
    """

    description: str
    sequence: str
    repetition_ms: float
    echo_ms: float
    train: int
    options: str = ""
    inversion_ms: float | None = None
    image_type: str = ""


@dataclass(frozen=True, kw_only=True)
class CtScan:
    """A helical scan of the pelvis as a style writes it.

    Attributes:
        kernels: Convolution Kernel (0018,1210), bone first; a second value is the strength of the
            iterative reconstruction.
        windows: centre and width of each, bone first, and the names of both.
    """

    description: str
    image_type: str
    kernels: tuple[str, ...]
    windows: tuple[str, str]
    window_names: str
    milliamperes: int
    rotation_s: float
    pitch: float
    filter_type: str
    kilovolts: int = 120


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How intensities become stored values (PS3.3 C.7.6.3, C.11.1).

    Attributes:
        bits: Bits Stored; of signed values the sign is one of them.
        intercept: Rescale Intercept (0028,1052) of CT; MR has none.
        brightest: stored value of the brightest voxel of an MR series; of each image where each
            has its own scale.
        rescaled: MR images carry Rescale Slope (0028,1053), each its own.
        padding: Pixel Padding Value (0028,0120).
    """

    bits: int
    signed: bool = False
    intercept: int = 0
    brightest: int = 4095
    rescaled: bool = False
    padding: int | None = None


@dataclass(frozen=True, kw_only=True)
class Style:
    """One way to fill a header.

    Attributes:
        image_type: Image Type (0008,0008) of MR images.
        gap: share of the slice distance that is gap on MR; Slice Thickness is what is left.
        planes: the style's words for axial, coronal and sagittal.
        tilted: follows the word where the plane is not along the patient's axes.
    """

    name: str
    mr: Mapping[MrWeighting, MrScan]
    image_type: str
    variant: str
    flip_deg: int
    field_t: float
    coil: str
    gap: float
    mr_encoding: Encoding
    ct: CtScan
    ct_encoding: Encoding
    planes: Mapping[Plane, str]
    tilted: str = ""

    @property
    def manufacturer(self) -> str:
        """Manufacturer (0008,0070): says that no company's scanner made the images."""
        return f"SYNTHETIC {self.name}"


_A = Style(
    name="A",
    mr={
        MrWeighting.STIR: MrScan("t2_tirm_{plane}", r"SE\IR", 4340, 48, 15, "", 160),
        MrWeighting.T2_FATSAT: MrScan("t2_tse_fs_{plane}", "SE", 3900, 74, 17, "FS"),
        MrWeighting.DIXON_WATER: MrScan(
            "t2_tse_dixon_{plane}_W",
            "SE",
            4100,
            81,
            16,
            "DIXON",
            image_type=r"DERIVED\PRIMARY\M\DIXON\WATER",
        ),
        MrWeighting.T2: MrScan("t2_tse_{plane}", "SE", 3700, 103, 19),
        MrWeighting.T1: MrScan("t1_tse_{plane}", "SE", 563, 11, 3),
        MrWeighting.OTHER: MrScan("pd_tse_{plane}", "SE", 2500, 27, 7),
    },
    image_type=r"ORIGINAL\PRIMARY\M\ND\NORM",
    variant=r"SK\SP\OSP",
    flip_deg=150,
    field_t=1.5,
    coil="Body_18",
    gap=0.1,
    mr_encoding=Encoding(bits=12),
    ct=CtScan(
        description="Pelvis {slice} {kernel}",
        image_type=r"ORIGINAL\PRIMARY\AXIAL\CT_SOM5 SPI",
        kernels=(r"Br64d\3", r"Br40d\3"),
        windows=(r"450\1500", r"40\400"),
        window_names=r"WINDOW1\WINDOW2",
        milliamperes=187,
        rotation_s=0.5,
        pitch=0.8,
        filter_type="FLAT",
    ),
    ct_encoding=Encoding(bits=12, intercept=-1024),
    planes={Plane.AXIAL: "tra", Plane.CORONAL: "cor", Plane.SAGITTAL: "sag"},
    tilted="_obl",
)

_B_OPTIONS = r"FAST_GEMS\TRF_GEMS\FILTERED_GEMS"
_B = Style(
    name="B",
    mr={
        MrWeighting.STIR: MrScan("{plane} STIR FSE", r"SE\IR", 4867, 41.3, 14, _B_OPTIONS, 190),
        MrWeighting.T2_FATSAT: MrScan(
            "{plane} T2 FSE FATSAT", "SE", 4216, 68.4, 16, rf"{_B_OPTIONS}\FS"
        ),
        MrWeighting.DIXON_WATER: MrScan(
            "WATER: {plane} T2 FSE FLEX",
            "SE",
            4403,
            83.5,
            18,
            _B_OPTIONS,
            image_type=r"DERIVED\PRIMARY\DIXON\WATER",
        ),
        MrWeighting.T2: MrScan("{plane} T2 FSE", "SE", 3550, 98.2, 20, _B_OPTIONS),
        MrWeighting.T1: MrScan("{plane} T1 FSE", "SE", 684, 9.6, 3, "FAST_GEMS"),
        MrWeighting.OTHER: MrScan("{plane} PD FSE", "SE", 2780, 31.9, 8, _B_OPTIONS),
    },
    image_type=r"ORIGINAL\PRIMARY\OTHER",
    variant="SK",
    flip_deg=111,
    field_t=3.0,
    coil="32Ch Torso",
    gap=0.2,
    mr_encoding=Encoding(bits=16, signed=True, brightest=9500),
    ct=CtScan(
        description="PELVIS {kernel}",
        image_type=r"ORIGINAL\PRIMARY\AXIAL",
        kernels=("BONEPLUS", "STANDARD"),
        windows=(r"500\2000", r"40\400"),
        window_names="",
        milliamperes=260,
        rotation_s=0.6,
        pitch=0.984,
        filter_type="BODY FILTER",
    ),
    ct_encoding=Encoding(bits=16, signed=True, intercept=-1024, padding=-2000),
    planes={Plane.AXIAL: "Ax", Plane.CORONAL: "Cor", Plane.SAGITTAL: "Sag"},
)

_C = Style(
    name="C",
    mr={
        MrWeighting.STIR: MrScan(
            "STIR_{plane}", "IR", 3261.4, 60, 14, "OTHER", 165, r"ORIGINAL\PRIMARY\M_IR\M\IR"
        ),
        MrWeighting.T2_FATSAT: MrScan("T2W_SPAIR_{plane}", "SE", 3482.9, 70, 16, "FS"),
        MrWeighting.DIXON_WATER: MrScan(
            "T2W_mDIXON_{plane}",
            "SE",
            2994.7,
            80,
            18,
            "OTHER",
            image_type=r"DERIVED\PRIMARY\W\W\DERIVED",
        ),
        MrWeighting.T2: MrScan("T2W_TSE_{plane}", "SE", 3116.2, 100, 21, "OTHER"),
        MrWeighting.T1: MrScan("T1W_TSE_{plane}", "SE", 527.3, 14, 5, "OTHER"),
        MrWeighting.OTHER: MrScan("PDW_TSE_{plane}", "SE", 2608.5, 30, 9, "OTHER"),
    },
    image_type=r"ORIGINAL\PRIMARY\M_SE\M\SE",
    variant="SK",
    flip_deg=90,
    field_t=1.5,
    coil="MULTI COIL",
    gap=0.1,
    mr_encoding=Encoding(bits=12, rescaled=True),
    ct=CtScan(
        description="PELVIS, {kernel}, {slice} mm",
        image_type=r"ORIGINAL\PRIMARY\AXIAL\HELIX",
        kernels=("YA", "B"),
        windows=(r"500\2000", r"60\360"),
        window_names="",
        milliamperes=214,
        rotation_s=0.75,
        pitch=0.641,
        filter_type="B",
    ),
    ct_encoding=Encoding(bits=12, intercept=-1024),
    planes={Plane.AXIAL: "TRA", Plane.CORONAL: "COR", Plane.SAGITTAL: "SAG"},
)

STYLES = {style.name: style for style in (_A, _B, _C)}
"""The three styles by name."""
