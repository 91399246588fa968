"""Whatever the orientation, order and spacing of its slices, a stack lands on its own lattice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from sifdetect.dicom.files import Located
from sifdetect.dicom.frames import Frame, Instance, frames_of
from sifdetect.dicom.stack import build_stack
from tests import builders
from tests.builders import Built

ANGLES = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
SPACINGS = st.tuples(st.floats(0.5, 8.0), st.floats(0.3, 2.0), st.floats(0.3, 2.0))


def turned(angles: tuple[float, float, float]) -> tuple[float, ...]:
    """Row and column cosines after three turns about the patient's axes."""
    cosines = np.array(builders.AXIAL).reshape(2, 3)
    for axis, angle in enumerate(angles):
        turn, (a, b) = np.eye(3), [one for one in range(3) if one != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        cosines = cosines @ turn.T
    return tuple(cosines.ravel().tolist())


def planes(datasets: list[Dataset], order: list[int]) -> list[Frame]:
    """The planes of data sets, in the order given."""
    located = Located("memory", Path("memory"))
    return [frame for index in order for frame in frames_of(Instance(datasets[index], located))]


@settings(max_examples=40, deadline=None)
@given(
    angles=ANGLES,
    spacing_mm=SPACINGS,
    count=st.integers(5, 12),
    enhanced=st.booleans(),
    data=st.data(),
)
def test_a_shuffled_stack_finds_its_lattice(
    angles: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
    count: int,
    enhanced: bool,
    data: st.DataObject,
) -> None:
    """Each plane keeps its place within 0.001 mm, and the three axes are right-handed."""
    built = Built(shape=(count, 4, 6), spacing_mm=spacing_mm, orientation=turned(angles))
    datasets = builders.slices(built)
    order = data.draw(st.permutations(range(count)))
    frames = planes([builders.multiframe(datasets)], [0]) if enhanced else planes(datasets, order)
    stack = build_stack(frames, "series")
    for index, frame in enumerate(stack.frames):
        place = stack.grid.index_to_mm((index, 0, 0))
        assert np.abs(place - frame.position_lps_mm).max() < 1e-3
    corner = built.volume.grid.mm_to_index(stack.grid.index_to_mm((0, 3, 5)))
    assert np.allclose(corner[1:], (3, 5), atol=1e-3)
    assert np.linalg.det(stack.grid.affine_lps_mm[:3, :3]) > 0
    assert stack.filled == ()
