"""The truth classes of what looks like a fracture of the sacrum and is none."""

from __future__ import annotations

from enum import Enum


class Mimic(Enum):
    """One mimic or distractor, by its standard name.

    What each gives in the label map (LesionBit) and in the truth (OtherFinding.kind, see KIND):

    - sacroiliitis and degenerative sacroiliac disease: EDEMA and SCLEROSIS where they have it;
      "sacroiliac edema" where there is edema, otherwise "sacroiliac sclerosis"
    - end plate and facet changes of L5/S1: EDEMA, SCLEROSIS; their own names
    - metastases, marrow infiltration, myeloma: MASS_LIKE, a halo of EDEMA; "mass-like"
    - cement: CEMENT; "cement"
    - all others: no bit; their own names, implants are "metal"

    None gives FRACTURE_LINE.
    """

    SACROILIITIS = "sacroiliitis"
    SACROILIAC_DEGENERATION = "degenerative sacroiliac disease"
    END_PLATE_CHANGE = "Modic change"
    FACET_ARTHROPATHY = "facet arthropathy"
    LYTIC_METASTASIS = "lytic metastasis"
    BLASTIC_METASTASIS = "blastic metastasis"
    INFILTRATION = "infiltrative metastasis"
    MYELOMA = "myeloma"
    HEMANGIOMA = "hemangioma"
    RED_MARROW = "red marrow island"
    RADIATION = "fatty marrow after radiation"
    BONE_ISLAND = "bone island"
    TARLOV_CYST = "Tarlov cyst"
    NUTRIENT_CHANNEL = "nutrient channel"
    PHYSEAL_REMNANT = "physeal remnant"
    VACUUM = "vacuum phenomenon"
    ILIOSACRAL_SCREW = "iliosacral screw"
    PEDICLE_SCREWS = "pedicle screws"
    HIP_PROSTHESIS = "hip prosthesis"
    CEMENT = "sacroplasty cement"


MASS_LIKE = "mass-like"
METAL = "metal"
SACROILIAC_EDEMA, SACROILIAC_SCLEROSIS = "sacroiliac edema", "sacroiliac sclerosis"

KIND = {mimic: mimic.value for mimic in Mimic} | {
    Mimic.LYTIC_METASTASIS: MASS_LIKE,
    Mimic.BLASTIC_METASTASIS: MASS_LIKE,
    Mimic.INFILTRATION: MASS_LIKE,
    Mimic.MYELOMA: MASS_LIKE,
    Mimic.ILIOSACRAL_SCREW: METAL,
    Mimic.PEDICLE_SCREWS: METAL,
    Mimic.HIP_PROSTHESIS: METAL,
    Mimic.CEMENT: "cement",
    Mimic.SACROILIITIS: SACROILIAC_SCLEROSIS,
    Mimic.SACROILIAC_DEGENERATION: SACROILIAC_SCLEROSIS,
}
"""OtherFinding.kind of each mimic; a sacroiliac joint with edema is SACROILIAC_EDEMA instead."""

RATE = {
    Mimic.VACUUM: 0.085,
    Mimic.SACROILIAC_DEGENERATION: 0.085,
    Mimic.BONE_ISLAND: 0.08,
    Mimic.RED_MARROW: 0.065,
    Mimic.NUTRIENT_CHANNEL: 0.065,
    Mimic.TARLOV_CYST: 0.055,
    Mimic.SACROILIITIS: 0.055,
    Mimic.END_PLATE_CHANGE: 0.045,
    Mimic.FACET_ARTHROPATHY: 0.035,
    Mimic.LYTIC_METASTASIS: 0.035,
    Mimic.BLASTIC_METASTASIS: 0.03,
    Mimic.INFILTRATION: 0.03,
    Mimic.HEMANGIOMA: 0.025,
    Mimic.MYELOMA: 0.02,
    Mimic.RADIATION: 0.02,
    Mimic.PHYSEAL_REMNANT: 0.02,
    Mimic.CEMENT: 0.015,
    Mimic.HIP_PROSTHESIS: 0.015,
    Mimic.ILIOSACRAL_SCREW: 0.01,
    Mimic.PEDICLE_SCREWS: 0.01,
}
"""Share of the cases with each mimic at the usual budget of 0.25; flat on purpose, so that the rare
ones are learnt too. Together they leave about 45 % of the cases without any."""
USUAL_BUDGET = 0.25
