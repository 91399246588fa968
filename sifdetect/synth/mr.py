"""MR images of a synthetic pelvis: water and fat of every voxel, as a scanner sees them.

Tissue is in mr_tissue.py, the pulse sequences are in mr_sequence.py, the scanner in mr_scanner.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import MrWeighting
from sifdetect.synth import material
from sifdetect.synth.body import Tissue
from sifdetect.synth.mr_chance import by_chance
from sifdetect.synth.mr_scanner import (
    Acquisition,
    Coil,
    SliceStack,
    blurred,
    cropped,
    field_offset,
    folded,
    ghosts,
    noise_left,
    shifted,
)
from sifdetect.synth.mr_sequence import Sequence, signed_echo, spin_echo
from sifdetect.synth.mr_tissue import (
    DRY_GAP,
    EDEMA,
    FLUID_GAP,
    Marrow,
    Microstructure,
    Relaxation,
    Subject,
    lipid,
    stranded,
    water_of,
    waters,
)
from sifdetect.synth.noise import Array, SmoothNoise
from sifdetect.synth.scene import Scene
from sifdetect.synth.slab import in_pieces, pieces
from sifdetect.synth.susceptibility import around_metal

__all__ = [
    "Acquisition",
    "Marrow",
    "Microstructure",
    "MrParams",
    "Sequence",
    "SliceStack",
    "Subject",
    "components",
    "fat_left",
    "render",
    "spin_echo",
]

MOVING = (
    Tissue.SKIN,
    Tissue.VESSEL,
    Tissue.VEIN,
    Tissue.VISCERA,
    Tissue.FLUID,
    Tissue.STOOL,
)
"""What pulse, breath and peristalsis move."""


@dataclass(frozen=True)
class MrParams:
    """One examination: scanner, coil, and what of the patient only its images show.

    Attributes:
        field_t: 1.5 or 3.0.
        scatter: deviation of each Tissue's T1, T2 and density, standard normal, (3, len(Tissue)).
        contrast: None for signal by physics; else a random signal per tissue (marrow, edema and
            gap at the end), 0–1.
        vessel_flow: share of the blood's signal that its flow leaves, 0–1.
        gap_fluid: share of fluid in the gap of an edematous fracture, 0–1.
        streaks: lipid in the strongest strands of muscle, 0–1.
        grain: standard deviation of the fine texture.
    """

    field_t: float
    marrow: Marrow
    scatter: Array
    contrast: tuple[float, ...] | None
    vessel_flow: float
    gap_fluid: float
    streaks: float
    grain: float
    coil: Coil
    drift: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator, *, random_contrast: bool) -> MrParams:
        """Draw an examination."""
        contrast = tuple(float(v) for v in rng.uniform(0.05, 1.0, len(Tissue) + 2))
        return MrParams(
            field_t=1.5 if rng.random() < 0.6 else 3.0,
            marrow=Marrow.sample(rng),
            scatter=rng.normal(0, 1, (3, len(Tissue))).astype(np.float32),
            contrast=contrast if random_contrast else None,
            vessel_flow=float(rng.beta(0.8, 1.2)),
            gap_fluid=float(rng.beta(0.6, 1.4)),
            streaks=float(rng.uniform(0.1, 0.8)),
            grain=float(rng.uniform(0.01, 0.05)),
            coil=Coil.sample(rng),
            drift=SmoothNoise.sample(rng, 130.0, 8),
        )

    def sequence(self, rng: np.random.Generator, weighting: MrWeighting) -> Sequence:
        """Draw the timing of a series at this scanner's field."""
        return Sequence.sample(rng, weighting, field_t=self.field_t)


def render(
    subject: Subject,
    params: MrParams,
    sequence: Sequence,
    acquisition: Acquisition,
    *,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    """Signal of one series, arbitrary units around 0–1.5, on a lattice of ``spacing_mm`` (3,).

    Returns:
        float32; of the points' shape, less what folds in and with the slices of the stack.
    """
    stack, points = acquisition.stack, subject.points
    water, fat = components(subject, params, sequence)
    water *= np.float32(sequence.water_left)
    fat *= fat_left(subject, params, sequence, spacing_mm)
    water, fat = around_metal(water, fat, subject.scene.mimics.metal_mm, spacing_mm)
    moving = np.zeros((1, 1, 1), dtype=np.float32)
    if acquisition.ghost > 0:
        moving = np.isin(subject.scene.tissue, MOVING).astype(np.float32)
    if stack is not None:
        water, fat, points = stack.cut(water), stack.cut(fat), stack.of(points)
        moving = stack.cut(moving) if acquisition.ghost > 0 else moving
    read, phase = acquisition.read_axis, acquisition.phase_axis
    signal = np.abs(water + shifted(fat, read, acquisition.shift_mm / spacing_mm[read]))
    if acquisition.ghost > 0:
        far = acquisition.ghost_mm / spacing_mm[phase]
        smeared = ndimage.gaussian_filter1d(signal * moving, 5.0 / spacing_mm[phase], axis=phase)
        signal += ghosts(smeared, phase, far, acquisition.ghost)
    if np.isfinite(acquisition.band):
        signal *= 1 - 0.85 / (1 + np.exp((acquisition.band - points.y) / 4))
    body = subject.scene.body
    gain, hiss = params.coil.gains(points, body.center_y_mm - body.half_depth_mm)
    hiss *= np.float32(params.coil.noise / noise_left(acquisition, spacing_mm))
    signal = folded(signal * gain, phase, acquisition.fold)
    hiss = cropped(np.broadcast_to(hiss, gain.shape), phase, acquisition.fold)
    channels = [rng.standard_normal(signal.shape, np.float32) * hiss for _ in range(2)]
    channels[0] += signal
    real, imaginary = (blurred(channel, acquisition, spacing_mm) for channel in channels)
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.sqrt(real, out=real)


def components(subject: Subject, params: MrParams, sequence: Sequence) -> tuple[Array, Array]:
    """Signed signal of water and of fat at every point; the brightest common tissue is near 1."""
    if params.contrast is not None:
        image = by_chance(subject.scene, params.contrast)
        return image * (1 + params.grain * subject.texture), np.zeros_like(image)
    return _by_physics(subject, params, sequence)


def fat_left(
    subject: Subject, params: MrParams, sequence: Sequence, spacing_mm: NDArray[np.float64]
) -> Array | np.float32:
    """Share of the fat that stays: a saturation pulse fails where the field is off."""
    if not np.isfinite(sequence.fails) or params.contrast is not None:
        return np.float32(sequence.fat_left)
    offset = np.abs(field_offset(subject, params.drift, spacing_mm))
    failing = 1 / (1 + np.exp(np.clip((sequence.fails - offset) / 0.15, -20, 20)))
    return np.asarray(sequence.fat_left + (1 - sequence.fat_left) * failing, dtype=np.float32)


@dataclass(frozen=True)
class _Signals:
    """Signed signals of one sequence: water of each Tissue and its lipid, lipid, edema, gap."""

    water: Array
    lipid: Array
    fat: float
    edema: float
    gap: float

    @staticmethod
    def of(params: MrParams, sequence: Sequence) -> _Signals:
        table, shares = waters(params.field_t)
        t1, t2, density = params.scatter
        scattered = Relaxation(
            table.t1_ms * (1 + 0.06 * t1),
            table.t2_ms * (1 + 0.08 * t2),
            table.density * (1 + 0.03 * density),
        )
        water = signed_echo(scattered, sequence) * (1 - shares)
        water[Tissue.VESSEL] *= params.vessel_flow
        fat, swollen, fluid, dry = (
            float(signed_echo(one, sequence)[0])
            for one in (
                lipid(params.field_t, sequence.echo_train),
                *(water_of(values, params.field_t) for values in (EDEMA, FLUID_GAP, DRY_GAP)),
            )
        )
        gap = dry + (fluid - dry) * params.gap_fluid
        return _Signals(water, (fat * shares).astype(np.float32), fat, swollen, gap)


def _by_physics(subject: Subject, params: MrParams, sequence: Sequence) -> tuple[Array, Array]:
    signals = _Signals.of(params, sequence)
    water, fat = _soft_and_bone(subject, params, signals)
    water, fat = _with_materials(subject.scene, (water, fat), params, sequence, fat=signals.fat)
    kept = signals.fat * sequence.fat_left
    common = (signals.water[Tissue.MUSCLE], kept, signals.water[Tissue.MARROW])
    scale = np.float32(1 / max(*(abs(float(value)) for value in common), 1e-3))
    subject.put_grain((water, fat), params.grain, scale=scale)
    return water, fat


def _with_materials(
    scene: Scene,
    images: tuple[Array, Array],
    params: MrParams,
    sequence: Sequence,
    *,
    fat: float,
) -> tuple[Array, Array]:
    """Water and fat images with what mimics put in the place of tissue; ``fat`` is its signal."""
    cells, fluid = (
        float(signed_echo(water_of(values, params.field_t), sequence)[0])
        for values in (material.CELLS, material.FLUID)
    )
    wet = material.signals(fat=0.0, cells=cells, fluid=fluid)
    return scene.filled(images[0], wet), scene.filled(
        images[1], material.signals(fat=fat, cells=0.0, fluid=0.0)
    )


def _soft_and_bone(subject: Subject, params: MrParams, signals: _Signals) -> tuple[Array, Array]:
    """Water and fat of what is not bone, and where there is bone its share of that."""
    tables = tuple(table.copy() for table in (signals.water, signals.lipid))
    for table in tables:
        table[[Tissue.MARROW, Tissue.CORTEX]] = table[Tissue.MUSCLE]
    tissue, soft = subject.scene.tissue.reshape(-1), subject.soft.reshape(-1)
    images = tuple(np.empty(tissue.shape, dtype=np.float32) for _ in tables)
    marrow, there, fibres = _bone(subject, params, signals), subject.bone_voxels, 0
    of = (float(signals.water[Tissue.VESSEL]), signals.fat)
    for part in pieces(len(tissue)):
        kind, chosen = tissue[part].astype(np.intp), np.flatnonzero(soft[part])
        streaks = subject.streaks[fibres : fibres + len(chosen)]
        fibres += len(chosen)
        muscle = kind[chosen] == Tissue.MUSCLE
        first, last = np.searchsorted(there.index, (part.start, part.start + len(kind)))
        bones = there.index[first:last] - part.start
        values = [table.take(kind) for table in tables]
        strands = stranded(
            (values[0][chosen], values[1][chosen]), streaks, muscle, strength=params.streaks, of=of
        )
        for image, value, strand, bone in zip(images, values, strands, marrow, strict=True):
            value[chosen] = strand
            before = value[bones]
            value[bones] = before + there.share[first:last] * (bone[first:last] - before)
            image[part] = value
    shape = subject.scene.tissue.shape
    return images[0].reshape(shape), images[1].reshape(shape)


def _bone(subject: Subject, params: MrParams, signals: _Signals) -> tuple[Array, Array]:
    """Water and fat of the voxels of ``subject.bone``, in order: marrow, lesions, cortex."""
    plain, there = float(signals.water[Tissue.MARROW]), subject.bone_voxels
    filling = [0.7 * float(signals.water[Tissue.DISC]), signals.gap]
    filling.append(float(signals.water[Tissue.CORTEX]))

    def layered(share: Array, edema: Array, dense: Array, *parts: Array) -> tuple[Array, Array]:
        wet, kept = edema * 0.85, 1 - 0.7 * dense
        share = share * (1 - wet)
        water = (1 - share) * (plain + wet * (signals.edema - plain)) * kept
        fat = share * signals.fat * kept
        for part, value in zip(parts, filling, strict=True):
            water += part * (value - water)
            fat *= 1 - part
        return water, fat

    parts = (there.edema, there.sclerosis, there.remnant, there.gap, there.cortex)
    return in_pieces(layered, subject.lipid_in(params.marrow), *parts)
