"""What a mimic puts in the place of marrow, for both modalities."""

from __future__ import annotations

from enum import IntEnum


class Material(IntEnum):
    """What fills a voxel of bone, joint or foramen instead of what belongs there."""

    NONE = 0
    LYTIC = 1
    BLASTIC = 2
    INFILTRATION = 3
    HEMANGIOMA = 4
    RED_MARROW = 5
    FATTY_MARROW = 6
    BONE_ISLAND = 7
    CYST = 8
    GAS = 9
    METAL = 10
    CEMENT = 11
    PHYSIS = 12
    CALLUS = 13
    DETRITUS = 14
