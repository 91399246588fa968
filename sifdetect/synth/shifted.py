"""Patients and scanners unlike those of training, for one half of an evaluation.

A case is drawn as ever; what is named in :class:`Shift` is then put at or beyond the end of the
range that training samples are drawn from (``shape.py``, ``body.py``, ``ct_scanner.py``,
``mr_scanner.py``, ``mr_tissue.py``, ``learn/dataset.py``), all of it at once, as between two
hospitals. No network may be trained, calibrated or chosen on such cases. The ranges are own
estimates; docs/evaluation.md has them beside those of training, with the reason for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from sifdetect.anatomy import MrWeighting
from sifdetect.synth import mr
from sifdetect.synth.body import BodyParams
from sifdetect.synth.bone_texture import FATTY_MARROW_HU, BoneTexture
from sifdetect.synth.canvas import Lesion
from sifdetect.synth.confounders import DRAW, ConfounderParams
from sifdetect.synth.ct import CtParams
from sifdetect.synth.ct_scanner import Kernel
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.mimic import RATE, Mimic
from sifdetect.synth.protocol import Protocol, Triple
from sifdetect.synth.scene import CaseParams
from sifdetect.synth.shape import ShapeParams

STREAM = 20
"""Random stream of a shift, beside those of ``scene.Stream``; its mimics draw from the next one."""
THICKEST_MM = 7.0
"""No clinical series of the pelvis has slices farther apart."""


class Build(Enum):
    """Habitus: what patients with such fractures often have, and the generator seldom draws."""

    OBESE = "obese"
    WASTED = "wasted"


class Reconstruction(Enum):
    """How a CT was taken: attenuation scans of PET/CT, bone kernels, neural denoising."""

    LOW_DOSE = "low dose"
    SHARP = "sharp kernel"
    DENOISED = "denoised"


class Clinic(Enum):
    """Whose patients these are: what they have beside or instead of a fracture."""

    ONCOLOGY = "oncology"
    RHEUMATOLOGY = "rheumatology"


SEEN_IN = {
    Clinic.ONCOLOGY: (
        Mimic.LYTIC_METASTASIS,
        Mimic.BLASTIC_METASTASIS,
        Mimic.INFILTRATION,
        Mimic.MYELOMA,
        Mimic.RADIATION,
        Mimic.RED_MARROW,
        Mimic.HEMANGIOMA,
        Mimic.CEMENT,
    ),
    Clinic.RHEUMATOLOGY: (
        Mimic.SACROILIITIS,
        Mimic.SACROILIAC_DEGENERATION,
        Mimic.END_PLATE_CHANGE,
        Mimic.FACET_ARTHROPATHY,
        Mimic.VACUUM,
    ),
}
OFTEN, SELDOM = 4.0, 0.5
"""Factors of RATE for the mimics of the clinic and for all others."""


@dataclass(frozen=True)
class Shift:
    """What is unlike training in one case; lengths in mm.

    Attributes:
        bend, detail: smooth deformation, as a multiple of the largest that training draws.
        build: habitus; ``size`` 0–1 is how far.
        clinic: mix of mimics.
        marrow_fat, marrow_patchy: share of lipid in the marrow, and how unequal it is.
        reconstruction: of a CT; ``spread_mm``, ``edge``, ``noise_hu``, ``smoothing`` follow.
        voltage: factor of bone's excess over fat, from another tube voltage.
        ct_mm: distance of CT slices, where the protocol's is less.
        thicker, gap: factor of the distance of MR slices, share of it between two slices.
        noise, bias: of the MR coil.
        pixel: factor of the acquired MR pixel; ``ghost`` is the strength of ghosts.
        echo_ms: echo time of fluid-sensitive series and T2; ``t1_tr_ms`` repetition time of T1.
        fat_left, fails: of a spectral fat saturation.
    """

    bend: float
    detail: float
    build: Build
    size: float
    clinic: Clinic
    marrow_fat: float
    marrow_patchy: float
    reconstruction: Reconstruction
    spread_mm: float
    edge: float
    noise_hu: float
    smoothing: float
    hardening_hu: float
    voltage: float
    ct_mm: float
    thicker: float
    gap: float
    noise: float
    bias: float
    pixel: float
    ghost: float
    echo_ms: float
    t1_tr_ms: float
    fat_left: float
    fails: float

    @staticmethod
    def sample(seed: int) -> Shift:
        """The shift of a case; it changes nothing that the case draws itself.

        Training's ranges in the same order: deformation up to 1; marrow with 0.35–0.95 of fat,
        islands 0.02–0.13; kernels of 0.26–0.85 mm, edge up to 1, noise of 9 HU in the middle;
        hardening up to 1.5; voltage 1; slices up to 5 mm on CT, up to 6 mm with a gap of 0–0.3 on
        MR; coil noise 0.013 in the middle, bias up to 0.35; ghosts 0.07 in the middle; echoes of
        35–90 ms (T2 75–115); TR of T1 up to 850 ms; saturation that leaves 0.11 of the fat in the
        middle and fails from an offset of 1.2 on.
        """
        rng = np.random.default_rng([seed, STREAM])
        kind = list(Reconstruction)[int(rng.integers(len(Reconstruction)))]
        red, high, long = (bool(rng.random() < 0.5) for _ in range(3))
        between = rng.uniform
        ranges = _CT[kind]
        spread, edge, noise, smoothing = (float(between(*ends)) for ends in ranges)
        return Shift(
            bend=float(between(1.0, 1.5)),
            detail=float(between(1.0, 1.4)),
            build=Build.OBESE if rng.random() < 0.5 else Build.WASTED,
            size=float(rng.random()),
            clinic=Clinic.ONCOLOGY if rng.random() < 0.5 else Clinic.RHEUMATOLOGY,
            # Red again in anaemia, smokers and under growth factors; all fat after radiation.
            marrow_fat=float(between(0.2, 0.4) if red else between(0.92, 0.97)),
            marrow_patchy=float(between(0.13, 0.2)),
            reconstruction=kind,
            spread_mm=spread,
            edge=edge,
            noise_hu=noise,
            smoothing=smoothing,
            hardening_hu=float(between(1.5, 2.2)),
            # 80-100 kV for the thin, 140 kV for the obese, where 120 kV is the rule.
            voltage=float(between(1.2, 1.4) if high else between(0.8, 0.88)),
            ct_mm=float(between(4.0, 6.0)),
            thicker=float(between(1.25, 1.6)),
            gap=float(between(0.3, 0.45)),
            # Body coil instead of a spine coil, one average; few acquired pixels for speed.
            noise=float(between(0.035, 0.07)),
            bias=float(between(0.35, 0.5)),
            pixel=float(between(1.2, 1.6)),
            ghost=float(between(0.08, 0.2)),
            echo_ms=float(between(95, 130) if long else between(22, 35)),
            t1_tr_ms=float(between(850, 1150)),
            fat_left=float(between(0.25, 0.4)),
            fails=float(between(0.8, 1.2)),
        )

    def patient(self, case: CaseParams) -> CaseParams:
        """The patient, bent, of another build and with other mimics; the fracture stays."""
        bend, detail = _LARGEST[type(case.shape)]
        shape = replace(
            case.shape,
            deformation=replace(case.shape.deformation, sd_mm=self.bend * bend),
            detail=replace(case.shape.detail, sd_mm=self.detail * detail),
        )
        mimics = self._mimics(np.random.default_rng([case.seed, STREAM + 1]))
        return replace(case, shape=shape, body=self._body(case.body), confounders=mimics)

    def protocol(self, protocol: Protocol) -> Protocol:
        """The protocol with thicker slices, farther apart."""
        right, back, up = protocol.ct_spacing_mm
        return replace(
            protocol,
            ct_spacing_mm=(right, back, max(up, self.ct_mm)),
            weightings=(),
            series=tuple(
                replace(one, spacing_mm=self._thicker(one.spacing_mm), gap=max(one.gap, self.gap))
                for one in protocol.mr_series
            ),
        )

    def ct(self, params: CtParams) -> CtParams:
        """The scan by another scanner; the patient's bone seen at another voltage."""
        scanner = replace(
            params.scanner,
            kernel=Kernel(self.spread_mm, self.edge),
            noise_hu=self.noise_hu,
            smoothing=self.smoothing,
        )
        artefacts = replace(params.artefacts, hardening_hu=self.hardening_hu)
        texture = self._texture(params.texture)
        return replace(params, texture=texture, scanner=scanner, artefacts=artefacts, overlap=1.0)

    def exam(self, params: mr.MrParams) -> mr.MrParams:
        """The examination with another coil, of other marrow."""
        marrow = replace(params.marrow, fat=self.marrow_fat, patchy=self.marrow_patchy)
        return replace(
            params, marrow=marrow, coil=replace(params.coil, noise=self.noise, bias=self.bias)
        )

    def plan(
        self, sequence: mr.Sequence, taken: mr.Acquisition
    ) -> tuple[mr.Sequence, mr.Acquisition]:
        """Timing and sampling of one series by another department."""
        if sequence.weighting is MrWeighting.T1:
            timed = replace(sequence, tr_ms=self.t1_tr_ms)
        else:
            timed = replace(sequence, te_ms=self.echo_ms)
        if sequence.weighting is MrWeighting.T2_FATSAT:
            timed = replace(timed, fat_left=self.fat_left, fails=self.fails)
        return timed, replace(taken, pixel_mm=self.pixel * taken.pixel_mm, ghost=self.ghost)

    def _body(self, body: BodyParams) -> BodyParams:
        """Obese with fatty muscles, or wasted: little fat, little and fatty muscle."""
        if self.build is Build.OBESE:
            return replace(
                body,
                half_width_mm=215 + 20 * self.size,
                half_depth_mm=148 + 17 * self.size,
                fat_mm=55 + 20 * self.size,
                infiltration=0.85 + 0.15 * self.size,
            )
        return replace(
            body,
            half_width_mm=148 - 8 * self.size,
            half_depth_mm=90 - 6 * self.size,
            fat_mm=5.0,
            muscle=0.6 - 0.1 * self.size,
            infiltration=0.9 + 0.1 * self.size,
        )

    def _texture(self, texture: BoneTexture) -> BoneTexture:
        """Bone's excess over fat, times ``voltage``."""

        def seen(hu: float) -> float:
            return FATTY_MARROW_HU + self.voltage * (hu - FATTY_MARROW_HU)

        return replace(
            texture,
            body_hu=seen(texture.body_hu),
            ala_hu=seen(texture.ala_hu),
            cortex_hu=seen(texture.cortex_hu),
            trabecular_hu=self.voltage * texture.trabecular_hu,
            subcortical_hu=self.voltage * texture.subcortical_hu,
        )

    def _mimics(self, rng: np.random.Generator) -> ConfounderParams:
        """Each kind from a stream of its own, by how often the clinic sees it."""
        lesions: list[Lesion] = []
        for mimic, draw in DRAW.items():
            stream = np.random.default_rng(int(rng.integers(2**62)))
            often = OFTEN if mimic in SEEN_IN[self.clinic] else SELDOM
            if stream.random() < often * RATE[mimic]:
                lesions += draw(stream)
        return ConfounderParams(tuple(lesions))

    def _thicker(self, spacing_mm: Triple) -> Triple:
        slices = int(np.argmax(spacing_mm))
        wide = min(spacing_mm[slices] * self.thicker, max(THICKEST_MM, spacing_mm[slices]))
        a, b, c = (wide if axis == slices else one for axis, one in enumerate(spacing_mm))
        return a, b, c


def is_shifted(number: int, share: float) -> bool:
    """Whether the case of a number is one of the share that is shifted; evenly spread.

    Of any n numbers in a row, ``share * n`` are, give or take one.
    """
    return math.floor(round((number + 1) * share, 9)) > math.floor(round(number * share, 9))


_CT = {
    Reconstruction.LOW_DOSE: ((0.85, 1.2), (0.0, 0.0), (25.0, 40.0), (0.0, 0.0)),
    Reconstruction.SHARP: ((0.20, 0.26), (1.0, 1.5), (8.0, 14.0), (0.0, 0.0)),
    Reconstruction.DENOISED: ((0.6, 0.9), (0.0, 0.0), (2.0, 3.5), (1.0, 1.4)),
}
"""Ranges of spread, edge, noise and smoothing; the noise of a sharp kernel itself is far higher."""
_LARGEST = {ShapeParams: (3.0, 1.3), MeshShape: (5.0, 0.9)}
"""The largest deviations that training draws, as ``shape.py`` and ``mesh_shape.py`` say, mm."""
