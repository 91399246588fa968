"""The closed sets of words in which findings are stated."""

from __future__ import annotations

from enum import Enum


class Presence(Enum):
    """Is there a finding like a sacral insufficiency fracture?"""

    ABSENT = "absent"
    PRESENT = "present"
    INDETERMINATE = "indeterminate"


class Basis(Enum):
    """What a fracture statement rests on."""

    LINE = "line"
    EDEMA = "edema"
    LINE_AND_EDEMA = "line+edema"
    SCLEROSIS = "sclerosis"


class Morphology(Enum):
    """Pattern of the fracture lines of the whole sacrum."""

    NONE = "none"
    UNILATERAL = "unilateral"
    BILATERAL = "bilateral"
    TRANSVERSE = "transverse"
    H = "H"
    U = "U"
    T = "T"
    LAMBDA = "lambda"
    INDETERMINATE = "indeterminate"


class BakkerType(Enum):
    """Bakker classification of fragility fractures of the sacrum."""

    A1 = "A1"
    A2 = "A2"
    A3 = "A3"
    B1 = "B1"
    B2 = "B2"
    B3 = "B3"
    C1 = "C1"
    C2 = "C2"
    C3 = "C3"


class FfpType(Enum):
    """Fragility fractures of the pelvis after Rommens and Hofmann."""

    IA = "Ia"
    IB = "Ib"
    IIA = "IIa"
    IIB = "IIb"
    IIC = "IIc"
    IIIA = "IIIa"
    IIIB = "IIIb"
    IIIC = "IIIc"
    IVA = "IVa"
    IVB = "IVb"
    IVC = "IVc"
