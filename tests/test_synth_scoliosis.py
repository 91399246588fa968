"""A scoliotic spine: how often, how far it is bent, and what follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel
from sifdetect.synth import muscles
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.place import Place
from sifdetect.synth.scoliosis import LYING, STRAIGHT, Scoliosis
from sifdetect.synth.shape import ShapeParams
from sifdetect.synth.spine import SpineCurve

SACRAL = [int(label) for label in SACRUM_LABELS]
BENT = Scoliosis(cobb_deg=30.0, apex=2.6, lower_share=0.5, rotation_deg=9.0)
"""Convex to the left, its apex in the middle of L3."""


def curve_of(scoliosis: Scoliosis) -> SpineCurve:
    """A mean spine."""
    return SpineCurve(40.0, 55.0, 1.0, 1.0, wedge_deg=20.0, scoliosis=scoliosis)


def pelvis(scoliosis: Scoliosis) -> ShapeParams:
    """One and the same pelvis below a bent spine."""
    shape = ShapeParams.sample(np.random.default_rng(6))
    return replace(shape, curve=replace(shape.curve, scoliosis=scoliosis))


def box(z_mm: tuple[float, float], spacing_mm: float = 2.5, front_mm: float = 45.0) -> Points:
    """Points around spine and sacrum."""
    axes = [np.arange(a, b, spacing_mm) for a, b in ((-66, 67), (-75, front_mm), z_mm)]
    return Points(*(a.astype(np.float32) for a in np.meshgrid(*axes, indexing="ij")))


def test_two_of_five_women_and_fewer_men_have_a_scoliosis() -> None:
    """Ten degrees standing and more: McAviney's 41 % of women, 28 % of men; rising with age."""
    rng = np.random.default_rng(2)
    wear = rng.beta(3.2, 2.0, 2500)
    standing = {
        female: np.array(
            [Scoliosis.sample(rng, wear=float(one), female=female).cobb_deg for one in wear]
        )
        / LYING
        for female in (True, False)
    }
    assert (np.abs(standing[True]) >= 10).mean() == pytest.approx(0.41, abs=0.03)
    assert (np.abs(standing[False]) >= 10).mean() == pytest.approx(0.28, abs=0.03)
    for angles in standing.values():
        assert np.abs(angles[wear > 0.6]).mean() > 1.2 * np.abs(angles[wear < 0.6]).mean()
        assert (angles > 0).mean() == pytest.approx(0.5, abs=0.03)
        assert np.abs(angles).max() <= 50


def test_bodies_turn_towards_the_convexity() -> None:
    """Of every draw the rotation has the sign of the curve and at most half of its angle."""
    for seed in range(100):
        one = Scoliosis.sample(np.random.default_rng(seed), wear=0.6, female=True)
        assert 0.05 * abs(one.cobb_deg) <= one.rotation_deg * np.sign(one.cobb_deg)
        assert abs(one.rotation_deg) <= 0.5 * abs(one.cobb_deg)
        assert abs(one.base_deg) <= 4


def test_the_angle_between_the_end_vertebrae_is_cobbs() -> None:
    """Upper end plate of the most tilted vertebra above and lower one below, within 1.5°."""
    curve = curve_of(BENT)
    tilts = []
    for upper, lower in curve.vertebra_bounds_mm:
        ends = [curve.position_mm((upper + lower) / 2, 0.0, x) for x in (-20.0, 20.0)]
        across = ends[1] - ends[0]
        forward = curve.position_mm((upper + lower) / 2, 1.0) - curve.position_mm(
            (upper + lower) / 2
        )
        # In the vertebra's own plane, whatever its lordosis.
        up = np.cross([1.0, 0.0, 0.0], forward / np.linalg.norm(forward))
        tilts.append(float(np.degrees(np.arctan2(-across @ up, across[0]))))
    assert max(tilts) - min(tilts) == pytest.approx(30.0, abs=1.5)
    apex = [curve.position_mm(sum(bounds) / 2)[0] for bounds in curve.vertebra_bounds_mm]
    assert int(np.argmax(apex)) == 2
    assert 8 < apex[2] < 25


def test_places_along_the_bent_spine_are_found_again() -> None:
    """``place`` returns what ``position_mm`` was given, within a millimetre up to 40 mm aside."""
    curve = curve_of(replace(BENT, base_deg=2.0))
    rng = np.random.default_rng(1)
    wanted = rng.uniform((-40, -150, -35), (40, 100, 20), (200, 3))
    found = np.stack([curve.position_mm(s, v, x) for x, s, v in wanted])
    place = np.stack(curve.place(Points(*found.T.astype(np.float32))), -1)
    assert np.quantile(np.abs(place - wanted).max(axis=1), 0.98) < 1.0


def test_a_bent_spine_neither_tears_nor_folds() -> None:
    """Of the worst curve, arc length grows downwards wherever a vertebra or a rib can lie."""
    curve = Scoliosis(40.0, 2.6, 0.55, 20.0, 4.0).curve(0.9)
    s = np.arange(-250, 60, 0.5, dtype=np.float32)
    for x in (-110, -60, -45, -20, 20, 45, 60, 110):
        _, arc, _ = curve.straightened(np.full_like(s, x), s, np.zeros_like(s))
        assert (np.diff(arc) > 0).all()


def test_the_spine_leaves_the_sacrum_where_it_was() -> None:
    """Frame and sacral bone stay, but for the tilted end plate; L3 lies to the convex side."""
    straight, bent = pelvis(STRAIGHT), pelvis(replace(BENT, base_deg=3.0))
    assert np.allclose(straight.frame.origin_lps_mm, bent.frame.origin_lps_mm, atol=0.01)
    assert np.allclose(straight.frame.axes, bent.frame.axes, atol=1e-3)
    points = box((-110, 130))
    before, after = straight.bones(points), bent.bones(points)
    low = before.level > 1.9
    assert np.array_equal(before.labels[low], after.labels[low])
    assert np.abs(before.level[low] - after.level[low]).max() < 0.02
    sacral = [np.isin(one.labels, SACRAL).sum() for one in (before, after)]
    assert sacral[1] == pytest.approx(sacral[0], rel=0.03)
    upper = after.labels == AnatomyLabel.LUMBAR
    assert points.x[upper].mean() > points.x[before.labels == AnatomyLabel.LUMBAR].mean() + 5
    plate = (before.level > 0) & (before.level < 0.4) & (np.abs(points.x) > 10)
    rise = after.level - before.level
    assert rise[plate & (points.x > 0)].mean() < -0.01
    assert rise[plate & (points.x < 0)].mean() > 0.01


def test_l5_keeps_clear_of_the_sacrum_in_a_tilted_joint() -> None:
    """Beside the worst curve L5 and sacrum do not touch, and a disc lies between their bodies."""
    shape = pelvis(Scoliosis(40.0, 2.6, 0.55, 12.0, 4.0))
    points = box((-30, 50), 1.5)
    bones = shape.bones(points)
    l5, sacral = bones.labels == AnatomyLabel.L5, np.isin(bones.labels, SACRAL)
    touching = (l5[:, :, 1:] & sacral[:, :, :-1]).sum()
    assert touching < 0.02 * l5.sum()
    assert bones.disc.sum() * 1.5**3 > 4000


def muscle_middle(shape: ShapeParams) -> tuple[float, float]:
    """x of the middle of psoas of both sides at L3, and of the paraspinal muscle there."""
    points = box((90, 94), 2.5, 110.0)
    bones = shape.bones(points)
    lattice = Lattice(points, 1.0)
    wall: Array = np.full(points.x.shape, -50, dtype=np.float32)
    place = Place.on(lattice, points, bones, wall=wall, curve=shape.curve)
    psoas = muscles._psoas(place, 1.0) < 0
    multifidus = muscles._paraspinal(place, 1.0)[0] < 0
    return float(points.x[psoas].mean()), float(points.x[multifidus].mean())


def test_muscles_follow_the_spine() -> None:
    """Psoas and multifidus at L3 lie as much further to the left as the vertebra does."""
    before, after = muscle_middle(pelvis(STRAIGHT)), muscle_middle(pelvis(BENT))
    for was, now in zip(before, after, strict=True):
        assert 6 < now - was < 26


def test_psoas_is_oval_beside_the_bodies_and_round_below() -> None:
    """At L4 it is 1.3 times as deep as broad and more; 35 mm below the end plate neither."""
    shape = pelvis(STRAIGHT)
    relations = []
    for z in (60.0, -40.0):
        axes = [np.arange(0, 100), np.arange(-30, 90), np.array([z])]
        points = Points(*(a.astype(np.float32) for a in np.meshgrid(*axes, indexing="ij")))
        bones = shape.bones(points)
        wall: Array = np.full(points.x.shape, -50, dtype=np.float32)
        place = Place.on(Lattice(points, 1.0), points, bones, wall=wall, curve=shape.curve)
        inside = np.argwhere(muscles._psoas(place, 1.0)[:, :, 0] < 0)
        broad, deep = np.std(inside, axis=0)
        relations.append(deep / broad)
    assert relations[0] > 1.3
    assert 0.8 < relations[1] < 1.3


def test_the_trunk_stays_above_the_pelvis() -> None:
    """Over 300 pelves L1 leans by no more than 40 degrees and lies within 85 mm of S1."""
    for seed in range(300):
        curve = ShapeParams.sample(np.random.default_rng(seed)).curve
        upper, lower = (curve.position_mm(s) for s in curve.vertebra_bounds_mm[4])
        lean = np.degrees(np.arctan2(upper[1] - lower[1], upper[2] - lower[2]))
        assert -40 < lean < 40
        assert -85 < upper[1] < 85


def test_psoas_and_aorta_keep_to_a_lordotic_spine() -> None:
    """What is given beside a mean spine lies as far in front of a bulging one."""
    flat, steep = (
        replace(curve_of(STRAIGHT), slope_deg=slope, lordosis=1.0) for slope in (30.0, 50.0)
    )
    heights = np.array([60.0, 90.0], dtype=np.float32)
    zero = np.zeros_like(heights)
    at = Points(zero, zero + 30, heights)
    own = [one.straightened(at, *one.place(at)).y for one in (flat, steep)]
    ahead = [
        np.interp(heights, one._line[2][::-1, 1], one._line[2][::-1, 0]) for one in (flat, steep)
    ]
    assert own[0] - own[1] == pytest.approx(ahead[1] - ahead[0], abs=0.01)
    assert (own[0] - own[1] > 10).all()
