"""Bone meshes become labelled pelves: analytic shapes first, then the Visible Human."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import measure

from sifdetect.anatomy import AnatomyLabel, SacralLevel
from sifdetect.errors import UnreadableInput
from sifdetect.learn import anatomy_source
from sifdetect.synth.bones import COCCYX, BoneField, BoneMeshes
from sifdetect.synth.meshes import field_of, midsagittal_plane, vary
from sifdetect.synth.rasterize import Mesh, depth_mm, filled, inside
from sifdetect.synth.warp import Warp, applied
from sifdetect.volume import Grid

REAL = Path(__file__).parents[1] / ".." / "shared" / "real" / "mesh_visible_human"
SHAPES = REAL.parent / "mesh_pelvis_ssm"
FORAMINA = (AnatomyLabel.SACRAL_FORAMEN_RIGHT, AnatomyLabel.SACRAL_FORAMEN_LEFT)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """A closed box with outward triangles."""
    corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Mesh(np.array(low) + corner * (np.array(high) - low), np.array(faces))


def oblique_grid() -> Grid:
    """Voxels of three sizes whose axes run askew to the patient, one of them reversed."""
    angle = np.radians(25)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([0.7, 0.9, 1.3])
    affine[:3, 3] = [-32.0, -60.0, 45.0]
    return Grid((130, 110, 70), affine)


def upright_plate() -> NDArray[np.bool_]:
    """A block 100 × 36 × 110 mm at 1 mm with a canal and four pairs of holes from the front."""
    x, y, z = np.meshgrid(np.arange(-60, 61), np.arange(-30, 31), np.arange(-65, 66), indexing="ij")
    bone = (np.abs(x) < 50) & (np.abs(y) < 18) & (np.abs(z) < 55)
    bone &= ~((np.abs(x) < 9) & (np.abs(y - 9) < 4))
    for height in (33, 11, -11, -33):
        round_hole = (np.abs(x) - 20) ** 2 + (z - height) ** 2 < 5**2
        bone &= ~(round_hole & (y < 12))
    return np.asarray(bone)


@pytest.fixture(scope="module")
def block_pelvis() -> BoneField:
    """The plate between two slabs, as a pelvis of boxes that touch at the joint."""
    marching_cubes: Any = measure.marching_cubes  # scikit-image declares no types here
    vertices, faces, _, _ = marching_cubes(upright_plate().astype(float), 0.5)
    sacrum = Mesh(vertices - np.array([60.0, 30.0, 87.0]), faces[:, ::-1].astype(np.int64))
    slabs = (
        (box((-75, -25, -72), (-49.5, 25, 38)),),
        (box((49.5, -25, -72), (75, 25, 38)),),
    )
    centers = np.array([[0.0, 0.0, z] for z in (33, 11, -11, -33, -55, -77)])
    ends = np.array([[0.0, -18.0, 33.0], [0.0, 18.0, 33.0]])
    return field_of(BoneMeshes(sacrum, slabs, box((-5, -5, -97), (5, 5, -79)), centers, ends))


@pytest.fixture(scope="module")
def visible_human() -> list[BoneField]:
    """Both Visible Human pelves."""
    if not REAL.is_dir():
        pytest.skip("no ../shared/real/mesh_visible_human beside the repository")
    return anatomy_source.load(REAL)


def volume_ml(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Volume of the voxels that are True."""
    return float(mask.sum() * grid.voxel_volume_mm3 / 1000)


def test_a_box_fills_its_volume_on_an_oblique_anisotropic_grid() -> None:
    """Counting voxels of three different sizes returns the volume of the box in millimetres."""
    grid = oblique_grid()
    mask = inside(box((-12, -15, -10), (14, 9, 20)), grid)
    assert volume_ml(mask, grid) == pytest.approx(26 * 24 * 30 / 1000, rel=0.02)
    centroid = grid.index_to_mm(np.argwhere(mask).mean(axis=0))
    assert np.abs(centroid - [1, -3, 5]).max() < 0.5


def test_overlapping_shells_of_one_mesh_do_not_cancel_out() -> None:
    """Two boxes in one mesh that overlap are inside in their overlap too."""
    a, b = box((-10, -10, -10), (5, 10, 10)), box((-5, -10, -10), (12, 10, 10))
    both = Mesh(
        np.concatenate([a.vertices_lps_mm, b.vertices_lps_mm]),
        np.concatenate([a.faces, b.faces + 8]),
    )
    assert volume_ml(inside(both, oblique_grid()), oblique_grid()) == pytest.approx(8.8, rel=0.05)


def test_a_hollow_shell_is_filled_and_an_open_pit_is_not() -> None:
    """The inside of a closed shell becomes solid; what stands open wider than the gap stays out."""
    shell = np.zeros((40, 40, 40), dtype=bool)
    shell[5:35, 5:35, 5:35] = True
    shell[7:33, 7:33, 7:33] = False
    shell[20, 20, 33:35] = False
    assert filled(shell).sum() == pytest.approx(30**3, rel=0.01)
    shell[12:28, 12:28, 33:35] = False
    assert filled(shell).sum() < 0.5 * 30**3


def test_depth_of_a_ball_is_its_radius_less_the_distance_from_its_centre() -> None:
    """The signed distance of a voxelised ball is right within half a voxel on both sides."""
    index = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"), -1) - 29.3
    radius_mm = np.linalg.norm(index, axis=-1) * 0.8
    depth = depth_mm(radius_mm < 15, 0.8)
    near = np.abs(radius_mm - 15) < 8
    assert np.abs(depth - (15 - radius_mm))[near].max() < 0.5


def test_the_mirror_plane_of_a_tilted_symmetric_cloud_is_found() -> None:
    """Points mirrored at a plane 12° off the axis give that plane back."""
    rng = np.random.default_rng(3)
    half = rng.normal(size=(4000, 3))
    half *= np.array([50, 20, 40]) / np.linalg.norm(half, axis=1)[:, None]
    half[:, 1] += 10 * np.sin(half[:, 2] / 12)
    cloud = np.concatenate([half, half * [-1, 1, 1]])
    normal = np.array([np.cos(0.21), np.sin(0.21), 0.0])
    turn = np.stack([normal, [-normal[1], normal[0], 0], [0, 0, 1]], axis=1)
    point, found = midsagittal_plane(cloud @ turn.T + [7, 8, 9])
    assert found @ normal > np.cos(np.radians(1.0))
    assert abs((point - [7, 8, 9]) @ normal) < 0.3


def test_levels_run_from_the_end_plate_down(block_pelvis: BoneField) -> None:
    """Level grows by one for every segment of the body's height."""
    index = block_pelvis.grid.mm_to_index([[0, 0, z] for z in (28.0, 0.0, -22.0, -66.0)])
    values = [block_pelvis.level[tuple(i)] for i in np.rint(index).astype(int)]
    assert values == pytest.approx([5 / 22, 1.5, 2.5, 4.5], abs=0.05)


def test_holes_become_foramina_of_the_patients_own_side(block_pelvis: BoneField) -> None:
    """The tunnels right of the midline carry the right foramen's label, four of them."""
    labels, grid = block_pelvis.labels, block_pelvis.grid
    for label, x in zip(FORAMINA, (-20, 20), strict=True):
        place = np.rint(grid.mm_to_index([[x, 0, z] for z in (11, -11, -33, -55)])).astype(int)
        assert [labels[tuple(i)] for i in place] == [label] * 4
    canal = np.argwhere(labels == AnatomyLabel.SACRAL_CANAL)
    assert np.abs(grid.index_to_mm(canal)[:, 0]).max() < 16
    assert volume_ml(labels == AnatomyLabel.SACRAL_CANAL, grid) > 6


def test_the_lateral_coordinate_follows_the_borders_of_the_foramina(
    block_pelvis: BoneField,
) -> None:
    """At a foramen, 1 and 2 are its borders and 3 the joint; the patient's left is positive."""
    grid = block_pelvis.grid
    index = np.rint(grid.mm_to_index([[x, -1, -11] for x in (-25, -15, 15, 25, 49.5)])).astype(int)
    values = [block_pelvis.lateral[tuple(i)] for i in index]
    assert values == pytest.approx([-2, -1, 1, 2, 3], abs=0.15)


def test_bones_that_touch_are_parted_by_a_joint_space(block_pelvis: BoneField) -> None:
    """Between sacrum and hip there is a gap, and each keeps its own side's label."""
    labels, grid = block_pelvis.labels, block_pelvis.grid
    i, j, k = np.rint(grid.mm_to_index([0, 0, 0])).astype(int)
    row = labels[:, j, k]
    x = grid.index_to_mm(np.stack([np.arange(len(row)), 0 * row, 0 * row], -1))[:, 0]
    assert set(row[(x > 49.2) & (x < 49.9)]) <= {0}
    assert row[np.argmin(np.abs(x + 60))] == AnatomyLabel.HIP_RIGHT
    assert row[np.argmin(np.abs(x - 60))] == AnatomyLabel.HIP_LEFT
    assert row[i] == AnatomyLabel.SACRAL_BODY


def test_the_coccyx_is_bone_but_not_sacrum(block_pelvis: BoneField) -> None:
    """What lies below the tip of S5 has its own number."""
    at = np.rint(block_pelvis.grid.mm_to_index([0, 0, -88])).astype(int)
    assert block_pelvis.labels[tuple(at)] == COCCYX
    assert block_pelvis.level[tuple(at)] > 5


def test_the_same_seed_gives_the_same_pelvis(block_pelvis: BoneField) -> None:
    """A variant depends on base and generator alone, and differs between seeds."""
    first, again, other = (vary(block_pelvis, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first.labels, again.labels)
    assert first.labels.shape != other.labels.shape or (first.labels != other.labels).any()


@pytest.mark.parametrize("seed", range(6))
def test_a_variant_carries_its_landmarks_along(block_pelvis: BoneField, seed: int) -> None:
    """Level and lateral coordinate at the moved body centres are what they were in the base."""
    field = vary(block_pelvis, np.random.default_rng(seed))
    index = np.rint(field.grid.mm_to_index(field.body_centers_lps_mm[1:5])).astype(int)
    assert [field.level[tuple(i)] for i in index] == pytest.approx([1, 2, 3, 4], abs=0.08)
    assert [field.lateral[tuple(i)] for i in index] == pytest.approx([0] * 4, abs=0.12)
    assert field.frame.axes[0, 0] > 0.9
    assert field.endplate_normal_lps @ field.frame.axes[2] > 0.7


def test_a_mirrored_pelvis_has_its_labels_exchanged(block_pelvis: BoneField) -> None:
    """After mirroring, right labels still lie on the patient's right."""
    straight = Warp(np.eye(3), np.zeros((6, 6, 6, 3)), mirrored=True)
    field = applied(straight, block_pelvis, spacing_mm=1.5)
    for label in (AnatomyLabel.HIP_RIGHT, AnatomyLabel.SACRAL_ALA_RIGHT, FORAMINA[0]):
        x = field.grid.index_to_mm(np.argwhere(field.labels == label))[:, 0]
        assert len(x) > 100
        assert x.max() < 0
    assert (field.lateral[field.labels == AnatomyLabel.SACRAL_ALA_LEFT] > 0).all()


def test_a_coarser_copy_lies_in_the_same_place(block_pelvis: BoneField) -> None:
    """At 4 mm the hip's centre and the sacrum's volume are where and what they were."""
    coarse = block_pelvis.at(4.0)
    assert coarse.grid.spacing_mm == pytest.approx([4.0] * 3, rel=0.02)
    for label in (AnatomyLabel.HIP_LEFT, AnatomyLabel.SACRAL_BODY):
        centers = [
            f.grid.index_to_mm(np.argwhere(f.labels == label).mean(axis=0))
            for f in (block_pelvis, coarse)
        ]
        assert np.abs(centers[0] - centers[1]).max() < 2.0


@pytest.mark.real
def test_real_sacra_have_their_parts_in_their_places(visible_human: list[BoneField]) -> None:
    """Four foramina a side, a canal, and a sacral volume like the meshes' own."""
    for field, sacrum_ml in zip(visible_human, (229.6, 242.7), strict=True):
        labels = field.labels
        assert volume_ml((labels >= 1) & (labels <= 5), field.grid) == pytest.approx(
            sacrum_ml, rel=0.06
        )
        for label in FORAMINA:
            levels = field.level[labels == label]
            assert [int((np.abs(levels - n) < 0.4).sum() > 15) for n in (1, 2, 3, 4)] == [1] * 4
        assert 8 < volume_ml(labels == AnatomyLabel.SACRAL_CANAL, field.grid) < 30
        assert field.frame.coverage[SacralLevel.S5] == 1.0


@pytest.mark.real
def test_real_variants_stay_whole(visible_human: list[BoneField]) -> None:
    """Bent and scaled, a pelvis keeps its volumes within a third and all of its labels."""
    expected = set(np.unique(visible_human[0].labels))
    for seed in range(4):
        field = vary(visible_human[seed % 2], np.random.default_rng(seed))
        assert set(np.unique(field.labels)) == expected
        hips = volume_ml(np.isin(field.labels, (10, 11)), field.grid)
        assert 550 < hips < 1500


@pytest.mark.real
def test_shapes_drawn_from_the_model_are_whole_pelves() -> None:
    """A drawn sacrum reaches from S1 to S5, has its foramina, and fits between its hips."""
    if not SHAPES.is_dir():
        pytest.skip("no ../shared/real/mesh_pelvis_ssm beside the repository")
    field = field_of(anatomy_source.load_meshes(REAL.parent, shapes=1, seed=4)[-1])
    labels = field.labels
    assert 120 < volume_ml((labels >= 1) & (labels <= 5), field.grid) < 320
    for label in FORAMINA:
        levels = field.level[labels == label]
        assert [int((np.abs(levels - n) < 0.4).sum() > 15) for n in (1, 2, 3, 4)] == [1] * 4
    assert field.level[(labels >= 1) & (labels <= 5)].max() > 4.7
    between = (field.sacrum_depth_mm > -3) & (field.hip_depth_mm > -3) & (field.depth_mm < 0)
    for side in (-1, 1):
        assert volume_ml(between & (field.hip_side == side), field.grid) > 0.7


@pytest.mark.real
def test_a_cached_pelvis_is_the_pelvis_that_was_built(tmp_path: Path) -> None:
    """The second load reads what the first one kept, label for label."""
    if not REAL.is_dir():
        pytest.skip("no ../shared/real/mesh_visible_human beside the repository")
    own = tmp_path / "one"
    own.mkdir()
    (own / "VH_F_Pelvis.glb").symlink_to((REAL / "VH_F_Pelvis.glb").resolve())
    first = anatomy_source.load(own, cache=tmp_path / "kept")
    files = sorted((tmp_path / "kept").glob("*.npz"))
    again = anatomy_source.load(own, cache=tmp_path / "kept")
    assert len(files) == 1
    assert np.array_equal(first[0].labels, again[0].labels)
    assert first[0].grid.same_place(again[0].grid)


def test_a_folder_without_pelves_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    """The error names the folder and the files that would have been read."""
    with pytest.raises(UnreadableInput, match=r"VH_F_Pelvis\.glb"):
        anatomy_source.load(tmp_path)


def test_a_damaged_pelvis_is_refused_by_name(tmp_path: Path) -> None:
    """A file that ends in the middle is the user's to replace, not an error of ours."""
    damaged = tmp_path / "VH_F_Pelvis.glb"
    words: list[bytes | int] = [b"glTF", 2, 4096, 4, b"JSON", b"{}  ", 2048, b"BIN\0", 0]
    parts = (w if isinstance(w, bytes) else w.to_bytes(4, "little") for w in words)
    damaged.write_bytes(b"".join(parts))
    with pytest.raises(UnreadableInput, match=r"VH_F_Pelvis\.glb is damaged"):
        anatomy_source.load(tmp_path)
