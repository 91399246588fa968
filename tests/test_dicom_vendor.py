"""Headers in the style of three kinds of scanner: plausible, valid, told apart, nobody's own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.vendor import plane_word
from sifdetect.dicom.vendor_styles import STYLES, Style
from tests import builders

KINDS = [(name, weighting) for name in STYLES for weighting in (None, *MrWeighting)]
EXPECTED_WARNINGS = (
    # Private blocks, as every vendor has them.
    r'\((0009|0019|0029|0043|0051|2001|2005),10[0-9a-f]{2},"SYNTHETIC[ \w]+"\).*Unrecognized tag',
    # Words of the styles that the standard's lists do not hold.
    r"(ImageType|ScanOptions)\(.*Unrecognized defined term",
    # Style C rescales MR images, which their IOD does not foresee.
    r"Rescale(Slope|Intercept)\(.*(not expected to be present|is not present) in standard",
)


def written(folder: Path, style: Style, weighting: MrWeighting | None) -> list[Path]:
    """An oblique series of one style, on CT an axial one."""
    modality = Modality.CT if weighting is None else Modality.MR
    builders.series(
        folder,
        builders.Built(
            modality=modality,
            weighting=weighting,
            orientation=builders.OBLIQUE_CORONAL if weighting else builders.AXIAL,
            about=builders.header(style=style, series_number=3),
        ),
    )
    return sorted(folder.iterdir())


@pytest.mark.parametrize(("name", "weighting"), KINDS)
def test_every_style_of_every_weighting_is_read_as_what_it_is(
    tmp_path: Path, name: str, weighting: MrWeighting | None
) -> None:
    """Modality, weighting and the voxels' proportions survive the style's words and encoding."""
    written(tmp_path, STYLES[name], weighting)
    (one,) = builders.read_one(tmp_path).series
    modality = Modality.CT if weighting is None else Modality.MR
    assert (one.volume.modality, one.volume.weighting) == (modality, weighting)
    sent = builders.volume(where=builders.grid(), modality=modality).values
    values = one.volume.resampled(one.volume.grid).values
    scale = values.max() / sent.max() if weighting else 1.0
    assert np.abs(values / scale - sent).max() < (1.0 if weighting is None else 0.25)


@pytest.mark.parametrize(("name", "weighting"), KINDS)
def test_every_style_is_valid(
    tmp_path: Path,
    tool: Callable[[str], Path],
    name: str,
    weighting: MrWeighting | None,
) -> None:
    """dciodvfy finds no error, and no warning beyond the three that the styles mean to raise."""
    path = written(tmp_path, STYLES[name], weighting)[0]
    command = [str(tool("dciodvfy")), "-new", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    lines = [line for line in said.splitlines() if re.match(r"\s*(Error|Warning|Abort)", line)]
    assert lines  # the private blocks are seen
    assert [line for line in lines if not any(re.search(p, line) for p in EXPECTED_WARNINGS)] == []


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_no_company_is_said_to_have_made_the_images(tmp_path: Path, style: Style) -> None:
    """Equipment and owners of private blocks are synthetic; no serial number, UIDs without root."""
    dataset = dcmread(written(tmp_path, style, MrWeighting.STIR)[0])
    owners = [str(e.value) for e in dataset.iterall() if e.tag.is_private_creator]
    named = [dataset.Manufacturer, dataset.ManufacturerModelName, dataset.InstitutionName, *owners]
    assert len(owners) > 1
    assert all(value.startswith("SYNTHETIC") for value in named)
    assert "DeviceSerialNumber" not in dataset
    uids = [e.value for e in dataset.iterall() if e.VR == "UI" and e.keyword != "SOPClassUID"]
    assert len(uids) > 3
    assert all(uid.startswith("2.25.") for uid in uids)


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_the_clock_runs_forward_and_slices_have_gaps(tmp_path: Path, style: Style) -> None:
    """Study, series, acquisition, content follow each other; MR slices are thinner than apart."""
    dataset = dcmread(written(tmp_path, style, MrWeighting.T1)[0])
    clock = [moment(dataset, name) for name in ("Study", "Series", "Acquisition", "Content")]
    assert clock == sorted(set(clock))
    assert float(dataset.SpacingBetweenSlices) == pytest.approx(3.0)
    assert float(dataset.SliceThickness) == pytest.approx(3.0 * (1 - style.gap))


def test_each_image_of_style_c_has_its_own_scale(tmp_path: Path) -> None:
    """Every image fills its bits, and Rescale Slope makes them comparable again."""
    datasets = [dcmread(path) for path in written(tmp_path, STYLES["C"], MrWeighting.STIR)]
    slopes = {float(dataset.RescaleSlope) for dataset in datasets}
    assert len(slopes) == len(datasets)
    assert {int(dataset.pixel_array.max()) for dataset in datasets} == {4095}


def test_metal_is_clipped_where_twelve_bits_end(tmp_path: Path) -> None:
    """Styles A and C store up to 3071 HU, style B what 16 bits hold."""
    values = np.zeros((8, 34, 42))
    values[3, 4, 5] = 9000
    brightest = {}
    for name, style in STYLES.items():
        about = builders.header(style=style)
        builders.ct_series(tmp_path / name, about=about, values=values)
        brightest[name] = builders.read_one(tmp_path / name).series[0].volume.values.max()
    assert brightest == {"A": 3071, "B": 9000, "C": 3071}


def test_an_oblique_coronal_plane_is_named_as_the_scanner_names_it() -> None:
    """Style A tells of the tilt; an untilted plane has no such word."""
    tilted = builders.grid(orientation=builders.OBLIQUE_CORONAL)
    assert plane_word(tilted, STYLES["A"]) == "cor_obl"
    assert plane_word(tilted, STYLES["B"]) == "Cor"
    assert plane_word(builders.grid(orientation=builders.SAGITTAL), STYLES["A"]) == "sag"


def moment(dataset: Dataset, name: str) -> str:
    """Date and time of one event as text that sorts."""
    return f"{dataset[f'{name}Date'].value}{float(dataset[f'{name}Time'].value):013.6f}"
