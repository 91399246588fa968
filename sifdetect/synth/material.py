"""What a mimic puts in the place of marrow, for both modalities."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sifdetect.synth.noise import Array


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
    TRABECULA = 15
    VESSEL = 16


MEAN_HU = {
    Material.NONE: 0,
    Material.LYTIC: 40,
    Material.BLASTIC: 650,
    Material.INFILTRATION: 65,
    Material.HEMANGIOMA: -20,
    Material.RED_MARROW: 75,
    Material.FATTY_MARROW: -70,
    Material.BONE_ISLAND: 950,
    Material.CYST: 8,
    Material.GAS: -900,
    Material.METAL: 3000,
    Material.CEMENT: 1700,
    Material.PHYSIS: 90,
    Material.CALLUS: 450,
    Material.DETRITUS: 15,
    Material.TRABECULA: 420,
    Material.VESSEL: 20,
}
"""CT numbers. Bone islands above, untreated blastic metastases below some 885 HU on average: Ulano
2016 (AJR); the others are own estimates from soft tissue, fat and gas."""

COMPOSITION = {
    Material.NONE: (0.0, 0.0, 0.0, 0.0),
    Material.LYTIC: (0.0, 0.9, 0.1, 0.0),
    Material.BLASTIC: (0.05, 0.2, 0.0, 0.75),
    Material.INFILTRATION: (0.05, 0.95, 0.0, 0.0),
    Material.HEMANGIOMA: (0.8, 0.05, 0.15, 0.0),
    Material.RED_MARROW: (0.5, 0.5, 0.0, 0.0),
    Material.FATTY_MARROW: (0.97, 0.03, 0.0, 0.0),
    Material.BONE_ISLAND: (0.0, 0.0, 0.0, 1.0),
    Material.CYST: (0.0, 0.0, 1.0, 0.0),
    Material.GAS: (0.0, 0.0, 0.0, 1.0),
    Material.METAL: (0.0, 0.0, 0.0, 1.0),
    Material.CEMENT: (0.0, 0.0, 0.0, 1.0),
    Material.PHYSIS: (0.15, 0.55, 0.1, 0.2),
    Material.CALLUS: (0.2, 0.3, 0.0, 0.5),
    Material.DETRITUS: (0.0, 0.4, 0.6, 0.0),
    Material.TRABECULA: (0.25, 0.1, 0.0, 0.65),
    Material.VESSEL: (0.4, 0.4, 0.2, 0.0),
}
"""Shares of fat, cells, free fluid and what gives no signal; own estimates, but that red marrow is
about half fat in the elderly (Vogler and Murphy 1988, Radiology: 40 % in young red marrow)."""

CELLS = (1150.0, 1300.0, 75.0, 70.0, 0.88)
"""Cellular tissue, tumour too: T1 at 1.5 and 3 T, T2 at 1.5 and 3 T (ms), proton density; close to
muscle on T1."""
FLUID = (4000.0, 4200.0, 1500.0, 1300.0, 1.0)
"""The same of free fluid, as cerebrospinal fluid."""

HU = np.array([MEAN_HU[material] for material in Material], dtype=np.float32)
"""(n,) CT number by Material."""


def signals(*, fat: float, cells: float, fluid: float, void: float = 0.0) -> Array:
    """(n,) MR signal by Material, from the signals of its constituents in one sequence."""
    shares = np.array([COMPOSITION[material] for material in Material], dtype=np.float32)
    return np.asarray(shares @ np.array([fat, cells, fluid, void], dtype=np.float32))
