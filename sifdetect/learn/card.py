"""The model card of a bundle, ``docs/README.md``: made from its metadata, never typed.

Beside the bundle's metadata it shows an evaluation, where one lies in the bundle
(``docs/evaluation.json``): what ``sifdetect evaluate`` says of the targets of its modality, or the
first figures of any other JSON with objects of ``value``, ``low`` and ``high``.
The checklist is CLAIM (Mongan, Moy and Kahn 2020, Radiol Artif Intell 2:e200029).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sifdetect.bundle import BundleSpec, Task, read_spec
from sifdetect.errors import ConfigurationError

CARD, EVALUATION = Path("docs/README.md"), Path("docs/evaluation.json")
MAX_FIGURES = 12
"""Rows of an evaluation without targets; the rest is in the evaluation itself."""

_CALIBRATION = ("calibration_cases", "calibration_fractured", "calibration_sensitivity")
_VISIBLE_HUMAN = (
    "Bones vary the pelves of the Visible Human, from the reference object library of the HuBMAP"
    " Common Coordinate Framework, under CC BY 4.0 (creativecommons.org/licenses/by/4.0); they were"
    " deformed, broken and imaged synthetically."
)


def write_card(folder: Path, *, evaluation: Path | None = None) -> str:
    """Make the card of the bundle in ``folder`` anew and give its text.

    Args:
        evaluation: a JSON file of figures; it is kept in the bundle and shown from then on.

    Raises:
        ModelError: the bundle cannot be read. ConfigurationError: the evaluation has no figures.
    """
    spec = read_spec(folder)
    text = model_card(spec, evaluation or folder / EVALUATION)
    if evaluation is not None:
        part = (folder / EVALUATION).with_suffix(".part")
        shutil.copyfile(evaluation, part)
        os.replace(part, folder / EVALUATION)
    part = (folder / CARD).with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, folder / CARD)
    return text


def model_card(spec: BundleSpec, evaluation: Path | None = None) -> str:
    """The card, Markdown; ``evaluation`` is shown if the file is there.

    Raises:
        ConfigurationError: the evaluation cannot be read, or has no figures.
    """
    shown = _figures(spec, evaluation if evaluation is not None and evaluation.exists() else None)
    return f"""\
{_head(spec)}## Intended use

{_use(spec)}

## Run it with MONAI alone

```
python -m monai.bundle run --config_file models/{spec.name}/configs/inference.json \\
    --dataset_dir FOLDER_WITH_NIFTI
```

{_monai_input(spec)} The labels are written to `FOLDER_WITH_NIFTI/eval`.

## Data, and how it was trained

{_provenance(spec)}

## Figures

{shown or "No evaluation lies in this bundle."}

## Limits

{_limits(spec)}

## Licence and attribution

Weights and configurations: Apache-2.0, see `LICENSE`. {_attribution(spec)}

## CLAIM

{_claim(spec, evaluated=bool(shown))}
"""


def _head(spec: BundleSpec) -> str:
    task = "Finds the sacrum" if spec.task is Task.LOCALIZER else "Segments sacrum and lesions"
    return f"""\
# {spec.name} {spec.version}

{task} on {spec.modality.value}. Part of sifdetect. Research use only: it makes no diagnosis.

| | |
|---|---|
| network | {_network(spec)} |
| spacing | {spec.spacing_mm:g} mm |
| input | {", ".join(spec.inputs)}; intensity rule `{spec.intensity.value}` |
| output | {", ".join(spec.outputs)} |
{_box_row(spec)}{_checksums(spec)}
"""


def _network(spec: BundleSpec) -> str:
    maps = "–".join(map(str, spec.channels))
    plain = f"3D U-Net, feature maps {maps}, first convolution stride 2"
    deeper = "; a second, residual convolution on the grids between" if spec.refined else ""
    twice = "; asked twice, left and right exchanged, and averaged" if spec.mirrored else ""
    return plain + deeper + twice


def figures_of(path: Path) -> list[tuple[str, str]]:
    """Name and text of every figure in an evaluation.

    Raises:
        ConfigurationError: it cannot be read, or holds no figure.
    """
    try:
        found = list(_walk(json.loads(path.read_text(encoding="utf-8")), ()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as an evaluation ({error})") from error
    if not found:
        raise ConfigurationError(
            f"{path} holds no figures", hint="Give a file with objects of value, low and high"
        )
    return found


def _walk(node: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Figures under a node; an entry of a list is named by the words in it."""
    if isinstance(node, list):
        for one in node:
            words = one.values() if isinstance(one, dict) else ()
            named = [word for word in words if isinstance(word, str) and len(word) < 40]
            yield from _walk(one, (*place, *named))
    elif isinstance(node, dict) and {"value", "low", "high"} <= set(node):
        yield " · ".join(place), _shown(node)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _walk(value, (*place, str(key)))


def _shown(figure: dict[str, Any]) -> str:
    if not isinstance(figure["value"], int | float):
        return "not defined on these cases"
    text = f"{figure['value']:.3f}"
    if isinstance(figure["low"], int | float) and isinstance(figure["high"], int | float):
        text += f" ({figure['low']:.3f}–{figure['high']:.3f})"
    return text + (f", n = {figure['n']}" if "n" in figure else "")


def _figures(spec: BundleSpec, evaluation: Path | None) -> str:
    """The figures that matter; empty without an evaluation."""
    if evaluation is None:
        return ""
    figures = figures_of(evaluation)
    document = json.loads(evaluation.read_text(encoding="utf-8"))
    if isinstance(document, dict) and "targets" in document:
        try:
            return _targets(spec, document)
        except (KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{evaluation} is no evaluation of this version ({error!r})",
                hint="Run sifdetect evaluate again",
            ) from error
    rows = "\n".join(f"| {name} | {text} |" for name, text in figures[:MAX_FIGURES])
    more = len(figures) - MAX_FIGURES
    rest = f"\n\n{more} more are in `{EVALUATION}`." if more > 0 else ""
    return f"| figure | value (95 % interval) |\n|---|---|\n{rows}{rest}"


def _targets(spec: BundleSpec, document: dict[str, Any]) -> str:
    """What had to be reached on the bundle's modality, and what was."""
    about, modality = document["head"], spec.modality.value
    rows = "\n".join(
        f"| {one['name']} | {one['target']} | {_shown(one['reached'])} | {one['verdict']} |"
        for one in document["targets"]
        if one["modality"] == modality
    )
    seeds, by = about["seeds"], ", ".join(about["truth_by"])
    said = f" of seeds {seeds['first']} to {seeds['last']}" if seeds else ""
    evaluated = {one["name"]: one["sha256"] for one in about["bundles"]}
    mine = evaluated.get(spec.name) == spec.sha256
    whose = "with these weights" if mine else "**with other weights than those in this bundle**"
    return (
        f"The whole pipeline {whose} on {about['cases']} cases{said}, truth by {by}."
        " Reached or missed: the whole 95 % interval lies there.\n\n"
        f"| figure | target | value (95 % interval) | |\n|---|---|---|---|\n{rows}\n\n"
        f"All other figures are in `{EVALUATION}`."
    )


def _use(spec: BundleSpec) -> str:
    if spec.task is Task.LOCALIZER:
        what = "It finds where the sacrum lies, so that a second network can look at it closely."
    else:
        what = (
            "It outlines what may be a sacral insufficiency fracture, for a reader who looks at the"
            " images all the same. What it does not show may still be there."
        )
    return f"{what} Not for diagnosis, triage, screening or any decision about a patient."


def _provenance(spec: BundleSpec) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in sorted(spec.provenance.items()))
    return f"| | |\n|---|---|\n{rows or '| | not trained: random weights |'}"


def _limits(spec: BundleSpec) -> str:
    first = (
        "Trained further from other weights, on the samples named above, for which whoever shares"
        " the bundle answers."
        if _further(spec)
        else "Trained on synthetic cases alone."
    )
    text = f"{first} It has not been evaluated for clinical use."
    if spec.task is Task.LOCALIZER:
        return text
    if not any(name in spec.provenance for name in _CALIBRATION):
        return f"{text} Its probabilities are not calibrated."
    return (
        f"{text} Its probabilities are\ncalibrated on synthetic cases, which are easier than"
        " patients."
    )


def _further(spec: BundleSpec) -> bool:
    """True for a bundle that was trained on from another, on samples that may be of patients."""
    return "started_from" in spec.provenance


def _attribution(spec: BundleSpec) -> str:
    said = " ".join(str(spec.provenance.get(key, "")) for key in ("trained_on", "anatomy"))
    texts = []
    if "Visible Human" in said or "VH_" in said:
        texts.append(_VISIBLE_HUMAN)
    if ".h5" in said:
        texts.append("Bones also vary the shape model named above, under its own licence.")
    return " ".join(texts) or "No anatomy of others is named by its training record."


def _claim(spec: BundleSpec, *, evaluated: bool) -> str:
    known = spec.provenance
    cases = known.get("calibration_cases")
    own = "; of the samples it was trained further on: ask who trained it" if _further(spec) else ""
    rows = (
        ("5 prospective or retrospective", f"neither: simulated examinations{own}"),
        ("7 data sources", str(known.get("trained_on", "none: random weights"))),
        ("9 preprocessing", f"{spec.spacing_mm:g} mm, intensity rule `{spec.intensity.value}`"),
        ("12 de-identification", f"synthetic cases have no patient{own}"),
        ("14 ground truth", f"what the generator put there, voxel by voxel{own}"),
        ("18 variability of annotation", f"none in synthetic cases{own}"),
        ("20 partitions", f"calibration: {cases} cases of their own" if cases else "see above"),
        ("22 model", f"MONAI UNet, {len(spec.inputs)} inputs, {len(spec.outputs)} outputs"),
        ("23 software", "`configs/metadata.json` names the versions"),
        ("24 initialisation", str(known.get("started_from", "random, or as data above says"))),
        ("25 training", "`configs/train.json`; steps and seed above"),
        ("26 choice of the model", str(known.get("chosen", "averaged weights at the last step"))),
        ("27 ensemble", "none"),
        ("29 uncertainty of figures", "95 % intervals" if evaluated else "no figures"),
        ("32 external test", "see Figures" if evaluated else "none in this bundle"),
        ("34 demographics", f"drawn by the generator; no patients{own}"),
        ("38 limitations", "see Limits"),
        ("40 registration", "none"),
    )
    body = "\n".join(f"| {item} | {answer} |" for item, answer in rows)
    return f"| item | answer |\n|---|---|\n{body}"


def _checksums(spec: BundleSpec) -> str:
    return "".join(f"| SHA-256 of `{name}` | `{sha}` |\n" for name, sha in spec.checksums.items())


def _box_row(spec: BundleSpec) -> str:
    if spec.low_mm is None:
        return ""
    return f"| box in the sacral frame | {list(spec.low_mm)} to {list(spec.high_mm or ())} mm |\n"


def _monai_input(spec: BundleSpec) -> str:
    if spec.task is Task.LOCALIZER:
        return "Any NIfTI image will do; it is turned and resampled."
    files = "`*.nii.gz`"
    if len(spec.inputs) > 4:
        files = "`*_fluid_sensitive.nii.gz`, each with its `*_anatomical.nii.gz`,"
    shape = "×".join(map(str, spec.shape or ()))
    return (
        f"The files {files} must lie in the region's box: {shape} voxels along right→left,"
        " posterior→anterior and caudal→cranial of the sacral frame."
    )
