"""The procedural sacrum that lies closest to a real one: does the generator's range hold it?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from sifdetect.synth import sacrum
from sifdetect.synth.bones import BoneMeshes
from sifdetect.synth.morphometry import placed
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.spine import KYPHOSIS_SHARE, SACRAL_HEIGHTS_MM, SpineCurve
from sifdetect.volume import Floats

MEAN = sacrum.SacrumParams(1.0, 1.0, (1.0,) * 4, (0.0,) * 4, 0.0, 0.0)
FORM = (
    ("width", 0.82, 1.18),
    ("depth", 0.8, 1.25),
    ("joint_slant", -0.15, 0.15),
    ("asymmetry", -0.05, 0.05),
    ("ala_drop", -0.1, 0.75),
    ("ala_sweep", 0.6, 1.8),
    ("ala_back_mm", -7.0, 9.0),
    ("taper", 0.8, 1.2),
    ("canal", 0.7, 1.4),
    ("crest", 0.2, 1.6),
    ("hiatus", 3.0, 4.5),
    ("foramen_out", 0.2, 0.8),
)
"""The parameters that are fitted, within what ``SacrumParams`` draws."""
_SPACING_MM = 1.5


@dataclass(frozen=True)
class Fit:
    """A fitted sacrum.

    Attributes:
        distance_mm: mean distance of the surfaces, both ways.
        quantile_mm: the distance that 95 % of the surface points keep.
    """

    curve: SpineCurve
    params: sacrum.SacrumParams
    distance_mm: float
    quantile_mm: float


def fit_sacrum(meshes: BoneMeshes) -> Fit:
    """Fit the curve to the centres of the bodies, then the form to the surface above S5's end.

    The surface's points are the mesh's vertices; nothing is drawn, so that the same mesh gives
    the same fit.

    Raises:
        ValueError: fewer than six body centres.
    """
    if len(meshes.body_centers_lps_mm) < 6:
        raise ValueError("a fit needs the centres of a whole sacrum, from S1 to the tip of S5")
    vertices, centers, endplate = placed(meshes)
    curve = _fit_curve(centers[:, 1:], endplate)
    points = Points(*vertices.T.astype(np.float32))
    s, v = curve.coordinates(points)
    keep = s < curve.level_bounds_mm[-1]
    vertices, s, v = vertices[keep], s[keep], v[keep]
    some = slice(None, None, max(1, len(vertices) // 3000))
    params = _fit_form(curve, vertices[some, 0].astype(np.float32), s[some], v[some])
    made = _surface(curve, params)
    there, _ = cKDTree(made).query(vertices)
    back, _ = cKDTree(vertices).query(made)
    both = (float(np.mean(there)) + float(np.mean(back))) / 2
    reach = (float(np.quantile(there, 0.95)) + float(np.quantile(back, 0.95))) / 2
    return Fit(curve, params, both, reach)


def _fit_curve(centers: Floats, endplate: Floats) -> SpineCurve:
    front, back = endplate[:, 1:]
    slope = float(np.degrees(np.arctan2(back[1] - front[1], front[0] - back[0])))
    lengths = np.linalg.norm(np.diff(centers, axis=0), axis=1) / np.array(SACRAL_HEIGHTS_MM)
    usual = np.log(KYPHOSIS_SHARE)

    def curve(values: Floats) -> SpineCurve:
        bends = np.exp(values[2:7])
        shares = tuple(float(b) for b in bends / bends.sum())
        heights = tuple(float(h) for h in values[7:])
        return SpineCurve(slope, float(values[1]), 1.0, 1.0, float(values[0]), heights, shares)

    def residuals(values: Floats) -> Floats:
        bent = curve(values)
        there = np.stack([bent.position_mm(float(s))[1:] for s in bent.level_bounds_mm])
        kept = [0.5 * (values[2:7] - usual), [0.05 * (values[0] - 18)]]
        return np.concatenate([(there - centers).ravel(), *kept])

    start = np.concatenate([[18.0, 45.0], usual, lengths])
    return curve(least_squares(residuals, start, diff_step=1e-3, max_nfev=12).x)


def _fit_form(curve: SpineCurve, x: Array, s: Array, v: Array) -> sacrum.SacrumParams:
    low, high = (
        np.array([bound[k] for bound in FORM] + [end] * 4) for k, end in ((1, 0.75), (2, 1.3))
    )
    start = np.array([getattr(MEAN, name) for name, _, _ in FORM] + [1.0] * 4)

    def form(shares: Floats) -> sacrum.SacrumParams:
        values = low + (shares - 1) * (high - low)
        named = {name: float(value) for (name, _, _), value in zip(FORM, values[:-4], strict=True)}
        sizes = tuple(float(size) for size in values[-4:])
        return replace(MEAN, foramen_size=sizes, **named)  # type: ignore[arg-type]  # as named

    def residuals(shares: Floats) -> Floats:
        distance = sacrum.evaluate(curve, form(shares), x, s=s, v=v).bone_mm
        return np.clip(distance, -8, 8).astype(np.float64)

    # Shares of the range run from 1 to 2: the solver's steps are relative to the values.
    found = least_squares(
        residuals,
        1 + (start - low) / (high - low),
        bounds=(1.0, 2.0),
        loss="soft_l1",
        diff_step=0.01,
        max_nfev=12,
    )
    return form(found.x)


def _surface(curve: SpineCurve, params: sacrum.SacrumParams) -> Floats:
    """(n, 3) points of the surface above the lower end of S5, in the pelvic frame."""
    corner, far = np.array([-72.0, -120.0, -140.0]), np.array([72.0, 45.0, 40.0])
    axes = [
        np.arange(a, b, _SPACING_MM, dtype=np.float32) for a, b in zip(corner, far, strict=True)
    ]
    points = Points(*np.meshgrid(*axes, indexing="ij"))
    s, v = curve.coordinates(points)
    bone = sacrum.evaluate(curve, params, points.x, s=s, v=v).bone_mm
    bone = np.where(s < curve.level_bounds_mm[-1] - 1, bone, np.nan)
    place = points.stacked()
    found = []
    for axis in range(3):
        first, second = (np.take(bone, range(k, bone.shape[axis] - 1 + k), axis) for k in (0, 1))
        cut = (first < 0) != (second < 0)
        cut &= np.isfinite(first) & np.isfinite(second)
        share = first[cut] / (first[cut] - second[cut])
        start = np.take(place, range(bone.shape[axis] - 1), axis)[cut]
        start[:, axis] += share * _SPACING_MM
        found.append(start)
    return np.concatenate(found)
