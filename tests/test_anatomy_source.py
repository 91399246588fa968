"""Sources of real bones: what each of their names stands for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from sifdetect.learn import anatomy_source
from sifdetect.learn.anatomy_source import AnatomySource, Kind, parse

REAL = Path(__file__).parents[1] / ".." / "shared" / "real"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of models beside a folder of meshes; none of them can be read."""
    for name in ("models/Sacrum.h5", "models/LeftHip.h5", "meshes/VH_M_Pelvis.glb"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_a_shape_model_brings_its_hip_and_what_completes_it(files: Path) -> None:
    """The sacrum is named; the hip lies beside it, the Visible Human in the next folder."""
    source = parse(f"ssm:{files}/models/Sacrum.h5")
    assert source.kind is Kind.SHAPE_MODEL
    assert [name for name, _ in source.files] == ["LeftHip.h5", "Sacrum.h5", "VH_M_Pelvis.glb"]


def test_meshes_alone_leave_the_shape_model_out(files: Path) -> None:
    """``meshes:`` takes less than the bare folder does."""
    assert [name for name, _ in parse(f"meshes:{files}").files] == ["VH_M_Pelvis.glb"]
    assert len(parse(str(files)).files) == 3


def test_the_record_knows_files_by_name_and_content(files: Path) -> None:
    """No folder of anybody's machine gets into a case; a changed file shows."""
    record = parse(f"meshes:{files}").record()
    checksum = hashlib.sha256(b"meshes/VH_M_Pelvis.glb").hexdigest()
    assert record == {"kind": "meshes", "files": {"VH_M_Pelvis.glb": checksum}}


def test_procedural_bones_need_no_files() -> None:
    """No source, no fields."""
    assert len(anatomy_source.fields(AnatomySource())) == 0


@pytest.mark.real
def test_the_shape_model_gives_drawn_pelves_and_no_body_of_its_own() -> None:
    """As many sacra as were asked for, each another one, none of them the Visible Human's."""
    model = REAL / "mesh_pelvis_ssm" / "Sacrum.h5"
    if not model.is_file():
        pytest.skip("no ../shared/real/mesh_pelvis_ssm beside the repository")
    drawn = anatomy_source.meshes(parse(f"ssm:{model}"), shapes=2)
    first, second = (meshes.sacrum.vertices_lps_mm for meshes in drawn)
    bodies = anatomy_source.meshes(parse(f"meshes:{REAL / 'mesh_visible_human'}"))
    assert first.shape == second.shape
    assert np.abs(first - second).max() > 1
    assert len(first) not in {len(body.sacrum.vertices_lps_mm) for body in bodies}
