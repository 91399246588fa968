"""Pelves drawn from a statistical shape model of 40 adults, completed below S3.

Han et al., Phys. Med. Biol. 2019 (doi 10.1088/1361-6560/ab1456): one model for each bone, each in
its own unit of size, the sacrum cut at the lower end of S3. The files are for research use with
citation; they are read where they lie and never copied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sifdetect.errors import UnreadableInput
from sifdetect.synth.bones import BoneMeshes
from sifdetect.synth.meshes import midsagittal_plane
from sifdetect.synth.rasterize import Mesh
from sifdetect.volume import Floats

SACRUM_MM, HIP_MM = 41.0, 75.0
"""Size of the models' unit: the scale at which the means fit the Visible Human best."""
LEFT_HIP_TURN_DEG = (3.0, -2.5, 5.9)
LEFT_HIP_PLACE_MM = (77.3, -34.0, -49.8)
"""Rotation vector and place of the left hip's mean beside the sacrum's mean on its midsagittal
plane: fitted to the Visible Human first, then to a joint space of 2 mm on both sides."""
BODY_CENTERS_MM = ((0.0, -32.4, 9.7), (0.0, -5.4, -4.3), (0.0, 15.1, -17.3), (0.0, 34.1, -23.3))
ENDPLATE_MM = ((0.0, -41.0, -1.1), (0.0, -22.7, 21.6))
"""Measured on midsagittal and parasagittal sections of the mean sacrum on that plane: centres of
the end plate, S1/S2, S2/S3 and S3/S4; front and back of the end plate."""
SECTION_LEVEL = 2.6
TAIL_BLEND = (2.5, 2.8)
"""Levels between which the completing sacrum takes over from the model's."""
JOINT_GAP_MM, SYMPHYSIS_HALF_MM = 2.0, 2.5


@dataclass(frozen=True)
class ShapeModel:
    """Mean and modes of one bone.

    Attributes:
        mean: (n, 3) vertices in the model's own unit; x to the left, y to the back, z up.
        modes: (n, 3, m) displacement of the vertices by one standard deviation of each mode.
        faces: (f, 3) vertex numbers.
    """

    mean: Floats
    modes: Floats
    faces: NDArray[np.int64]

    def scaled(self, unit_mm: float) -> ShapeModel:
        """The model in millimetres, one unit being ``unit_mm``."""
        return replace(self, mean=self.mean * unit_mm, modes=self.modes * unit_mm)

    def on_midplane(self) -> ShapeModel:
        """The model turned and moved so that its mean is symmetric about x = 0."""
        point, normal = midsagittal_plane(self.mean)
        up = np.array([0.0, 0.0, 1.0]) - normal * normal[2]
        up = up / np.linalg.norm(up)
        axes = np.stack([normal, np.cross(up, normal), up])
        modes = np.einsum("ij,njm->nim", axes, self.modes)
        return replace(self, mean=(self.mean - point) @ axes.T, modes=modes)

    def vertices(self, coefficients: Floats) -> Floats:
        """(n, 3) vertices of the shape with these coefficients (m,), in standard deviations."""
        return np.asarray(self.mean + self.modes @ coefficients)


def read_shape_model(path: Path) -> ShapeModel:
    """A shape model in the statismo layout (HDF5).

    Raises:
        UnreadableInput: the file is damaged or lacks a part.
    """
    # Of the extra "train"; cases of other anatomy are made without it.
    import h5py  # noqa: PLC0415  # see above

    try:
        with h5py.File(path) as file:
            mean = np.asarray(file["model/mean"], dtype=np.float64).reshape(-1, 3)
            basis = np.asarray(file["model/pcaBasis"], dtype=np.float64)
            variance = np.asarray(file["model/pcaVariance"], dtype=np.float64)
            faces = np.asarray(file["representer/cells"], dtype=np.int64).T
    except (OSError, KeyError) as error:
        raise UnreadableInput(f"{path.name} is no statistical shape model ({error})") from error
    return ShapeModel(mean, (basis * np.sqrt(variance)).reshape(len(mean), 3, -1), faces)


@dataclass(frozen=True)
class PelvisModel:
    """Both bones' models and the pelvis whose lower sacrum and coccyx complete them."""

    sacrum: ShapeModel
    hip: ShapeModel
    lower: BoneMeshes

    def sample(self, rng: np.random.Generator) -> BoneMeshes:
        """Draw a pelvis; modes within ±2 standard deviations, the hips nearly alike."""
        sacrum, hip = self.sacrum.scaled(SACRUM_MM).on_midplane(), self.hip.scaled(HIP_MM)
        bone = sacrum.vertices(_coefficients(rng, sacrum.modes.shape[-1]))
        shared = _coefficients(rng, hip.modes.shape[-1])
        own = rng.normal(0, 0.25, (2, len(shared)))
        right, left = (
            _hip_mesh(hip, np.clip(shared + o, -2, 2), sacrum.mean, bone, side)
            for o, side in zip(own, (-1, 1), strict=True)
        )
        place = np.array([*BODY_CENTERS_MM, *ENDPLATE_MM])
        _, near = cKDTree(sacrum.mean).query(place, k=60)
        place = place + (bone - sacrum.mean)[near].mean(axis=1)
        count = len(BODY_CENTERS_MM)
        body = BoneMeshes(
            sacrum=Mesh(bone, sacrum.faces),
            hips=((right,), (left,)),
            coccyx=None,
            body_centers_lps_mm=place[:count],
            endplate_lps_mm=place[count:],
        )
        return completed(body, self.lower)


def completed(body: BoneMeshes, lower: BoneMeshes) -> BoneMeshes:
    """A sacrum cut near the lower end of S3, with the rest of another one set below it.

    The other pelvis is scaled to the width, depth and length of this one around S3 and placed by
    the curve of the bodies; its coccyx comes along.
    """
    at, of = _section(body), _section(lower)
    matrix = at.axes.T @ np.diag(np.clip(at.size / of.size, 0.75, 1.3)) @ of.axes
    tail = lower.moved(matrix, at.center - matrix @ of.center)
    centers = np.concatenate([body.body_centers_lps_mm[:3], tail.body_centers_lps_mm[3:]])
    return replace(
        body,
        coccyx=tail.coccyx,
        body_centers_lps_mm=centers,
        tail=tail.sacrum,
        tail_blend=TAIL_BLEND,
    )


@dataclass(frozen=True)
class _Section:
    """A cut across S3: centre, axes (left, ventral, caudal as rows), (3,) extents along them."""

    center: Floats
    axes: Floats
    size: Floats


def _section(meshes: BoneMeshes) -> _Section:
    centers = meshes.body_centers_lps_mm[:4]
    # A parabola: the end of an interpolating spline swings with every millimetre of its points.
    curve = np.polynomial.Polynomial.fit
    fits = [curve(np.arange(4), centers[:, axis], 2) for axis in range(3)]
    center = np.array([fit(SECTION_LEVEL) for fit in fits])
    caudal = np.array([fit.deriv()(SECTION_LEVEL) for fit in fits])
    caudal /= np.linalg.norm(caudal)
    _, normal = midsagittal_plane(meshes.sacrum.vertices_lps_mm)
    left = normal - (normal @ caudal) * caudal
    left /= np.linalg.norm(left)
    axes = np.stack([left, np.cross(caudal, left), caudal])
    place = (meshes.sacrum.vertices_lps_mm - center) @ axes.T
    ring = place[(np.abs(place[:, 2]) < 3) & (np.linalg.norm(place[:, :2], axis=1) < 80)]
    middle = ring[np.abs(ring[:, 0]) < 14]
    length = float(np.linalg.norm(centers[2] - centers[1]))
    return _Section(center, axes, np.array([np.ptp(ring[:, 0]), np.ptp(middle[:, 1]), length]))


def _coefficients(rng: np.random.Generator, count: int) -> Floats:
    return np.asarray(np.clip(rng.normal(size=count), -2, 2))


def _hip_mesh(
    hip: ShapeModel, coefficients: Floats, mean_sacrum: Floats, sacrum: Floats, side: int
) -> Mesh:
    """The hip bone of one side (−1 right), set to the sacrum by their joint surfaces."""
    mirror = np.array([float(side), 1.0, 1.0])
    turn = Rotation.from_rotvec(LEFT_HIP_TURN_DEG, degrees=True).as_matrix()
    mean, drawn = (
        (v @ turn.T + LEFT_HIP_PLACE_MM) * mirror for v in (hip.mean, hip.vertices(coefficients))
    )
    distance, partner = cKDTree(mean).query(mean_sacrum)
    joint = np.argsort(distance)[: len(distance) // 20]
    partner = partner[joint]
    drawn = drawn + ((sacrum - mean_sacrum)[joint] - (drawn - mean)[partner]).mean(axis=0)
    drawn = _closed_in_front(drawn, drawn[partner].mean(axis=0), side)
    distance, nearest = cKDTree(drawn).query(sacrum[joint])
    gap = (drawn[nearest] - sacrum[joint])[:, 0] * side
    drawn[:, 0] += side * (JOINT_GAP_MM - np.quantile(gap, 0.4))
    return Mesh(drawn, hip.faces[:, ::side])


def _closed_in_front(hip: Floats, joint: Floats, side: int) -> Floats:
    """The hip turned about a vertical axis through its joint until its pubis nears x = 0."""
    for _ in range(4):
        pubis = hip[np.argsort(hip[:, 0] * side)[:20]].mean(axis=0)
        reach = (pubis - joint)[:2]
        wanted = side * SYMPHYSIS_HALF_MM - pubis[0]
        angle = np.arctan2(wanted, -reach[1])
        turn = Rotation.from_rotvec([0, 0, float(np.clip(angle, -0.15, 0.15))]).as_matrix()
        hip = (hip - joint) @ turn.T + joint
    return hip
