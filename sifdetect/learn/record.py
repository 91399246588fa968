"""What a case or a sample was made from, beside it as JSON: order, bones, code, parameters."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import sifdetect
from sifdetect.learn.anatomy_source import AnatomySource, Kind
from sifdetect.synth.bones import BoneField
from sifdetect.synth.scene import CaseParams
from sifdetect.synth.sheets import Limb

Document = dict[str, Any]
"""JSON."""

MAX_LISTED = 64
"""Longer arrays are given by their shape and checksum."""
DIGITS = 9
"""Significant digits that checksums look at: the last ones differ between machines."""

_CODE = ("synth/*.py", "dicom/*.py", "learn/cases.py", "learn/dataset.py", "learn/scanned.py")


@cache
def generator() -> Document:
    """Name and version of the generator, and a checksum of the code that makes cases."""
    return {
        "name": "sifdetect.synth",
        "version": sifdetect.__version__,
        "code_sha256": code_sha256(*_CODE),
    }


def code_sha256(*patterns: str) -> str:
    """SHA-256 of the names and contents of this package's files that match any of the patterns."""
    root = Path(sifdetect.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def parameters(case: CaseParams) -> Document:
    """Everything that was drawn for a case; voxels of real bones are left to their source."""
    document: Document = plain(case)
    return document


def shown(case: CaseParams) -> Document:
    """What a case shows that its truth does not say: ``stage``, ``mimics`` and ``ct_occult``.

    ``stage`` is null without a fracture; ``ct_occult`` is true where every fracture is fresh and
    without a line, so that MR alone shows it.
    """
    fracture, sheets = case.fracture, case.fracture.sheets
    lineless = all(isinstance(one, Limb) and one.lineless for one in sheets)
    return {
        "stage": fracture.stage.value if sheets else None,
        "mimics": sorted(mimic.value for mimic in case.confounders.mimics),
        "ct_occult": bool(sheets) and lineless and fracture.stage.swollen,
    }


def digest(document: Any) -> str:
    """SHA-256 of a document, its numbers rounded to ``DIGITS`` significant digits."""
    text = json.dumps(_rounded(document), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_pool_record(folder: Path, seeds: Sequence[int], anatomy: AnatomySource) -> None:
    """Say beside the samples of a pool from which bones those of ``seeds`` are being made."""
    source = anatomy.record()
    document = {"seeds": list(seeds), "anatomy": source, "generator": generator()}
    name = f"made-{seeds[0]:07d}-{digest(document)[:8]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.{os.getpid()}.part"
    part.write_text(json.dumps(document) + "\n", encoding="utf-8")
    part.rename(folder / name)


def pool_anatomy(folder: Path) -> str:
    """Where the bones of a pool come from, in words for the model card; empty where none says."""
    said: dict[str, set[int]] = {}
    for path in sorted(folder.glob("made-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        there = {seed for seed in document["seeds"] if (folder / f"{seed:07d}.npz").exists()}
        said.setdefault(_in_words(document["anatomy"]), set()).update(there)
    return "; ".join(f"{words}, {len(seeds)} samples" for words, seeds in said.items() if seeds)


def _in_words(anatomy: Mapping[str, Any]) -> str:
    files = [f"{name} (SHA-256 {sha256[:12]})" for name, sha256 in anatomy["files"].items()]
    kind = "procedural bones" if anatomy["kind"] == Kind.PROCEDURAL.value else anatomy["kind"]
    return ": ".join([kind, ", ".join(files)]) if files else kind


def plain(value: Any) -> Any:
    """Dataclasses, enumerations and arrays as JSON has them; long arrays as a checksum."""
    if isinstance(value, BoneField):
        return "see anatomy"
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= MAX_LISTED else _summary(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(one) for one in value]
    return value


def _summary(values: np.ndarray[Any, Any]) -> Document:
    return {"shape": list(values.shape), "sha256": digest(values.ravel().tolist())}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value + 0.0:.{DIGITS}g}"
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
