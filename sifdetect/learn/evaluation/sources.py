"""Cases with their truth: from a folder as ``sifdetect synth --format nifti`` writes it, or made
one after the other, and thrown away again unless they are to be kept."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.nifti import read_nifti
from sifdetect.errors import UnreadableInput, UsageError
from sifdetect.findings import StudyFindings, from_json
from sifdetect.learn import record
from sifdetect.learn.cases import PROFILES, Making, write_cases
from sifdetect.learn.evaluation.overlap import Outlined
from sifdetect.learn.evaluation.row import About
from sifdetect.study import Study
from sifdetect.synth.shifted import is_shifted
from sifdetect.volume import Grid, LabelMap

TRUTH, RECORD, IMAGES, ENDING = "truth.json", "case.json", "nifti", ".nii.gz"
LABELS = ("_anatomy", "_lesions")
NOT_SAID = "not recorded"
HINT = "Give a folder as `sifdetect synth --format nifti` writes it"


@dataclass(frozen=True)
class Case:
    """A case that lies in a folder; images and labels are read when they are asked for.

    Attributes:
        thickness_mm: slice thickness by name of the series, as far as the case says it.
    """

    folder: Path
    about: About
    truth: StudyFindings
    thickness_mm: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Its series: ``ct`` or the weighting, and a number from the second of a kind on."""
        files = sorted(self.folder.joinpath(IMAGES).glob(f"*{ENDING}"))
        stems = [path.name.removesuffix(ENDING) for path in files]
        return tuple(stem for stem in stems if not stem.endswith(LABELS))

    def study(self) -> Study:
        """All of its series, as ``sifdetect analyze`` reads them.

        Raises:
            UnreadableInput: a file is missing or damaged.
            UnsuitableSeries: a series cannot be used.
        """
        studies = [
            read_nifti([self._file(name)], modality=modality, weighting=weighting)
            for name in self.names
            for modality, weighting in [kind_of(name)]
        ]
        series = tuple(one for study in studies for one in study.series)
        return Study(self.about.name, series)

    def outlined(self, name: str, grid: Grid) -> Outlined:
        """The true labels of a series, on its own grid.

        Raises:
            UnreadableInput: a file is missing, damaged, or of another shape than the series.
        """
        return Outlined(*(self._labels(f"{name}{ending}", grid) for ending in LABELS))

    def _file(self, name: str) -> Path:
        return self.folder / IMAGES / f"{name}{ENDING}"

    def _labels(self, name: str, grid: Grid) -> LabelMap:
        path = self._file(name)
        try:
            load: Any = nib.nifti1.load  # nibabel has no types
            values = np.asarray(load(path).dataobj)
        except (ImageFileError, OSError, EOFError, ValueError) as error:
            raise UnreadableInput(f"{path} holds no labels that can be read", hint=HINT) from error
        if values.shape != grid.shape:
            raise UnreadableInput(f"{path} is not of the shape of its image", hint=HINT)
        return LabelMap(values.astype(np.uint8), grid)


class Source(Protocol):
    """Where cases come from."""

    def names(self) -> list[str]:
        """All cases, in the order in which they are evaluated."""

    def opened(self, name: str) -> AbstractContextManager[Case]:
        """A case, for as long as it is needed."""

    def digest(self, name: str) -> str | None:
        """What a row of the case must have been made from; None where the order settles it."""

    def order(self) -> dict[str, Any]:
        """What was asked for, in JSON: results of another order are not gone on with."""


@dataclass(frozen=True)
class Stored:
    """Every folder in ``folder``, at any depth, that holds a truth."""

    folder: Path

    def names(self) -> list[str]:
        """Paths of the cases within the folder.

        Raises:
            UnreadableInput: there is no case with a truth, or one of them is damaged.
        """
        found = sorted(path.parent for path in self.folder.rglob(TRUTH))
        if not found:
            raise UnreadableInput(f"{self.folder} holds no case with a truth.json", hint=HINT)
        names = [path.relative_to(self.folder).as_posix() for path in found]
        for name in names:
            self._read(name)
        return names

    def opened(self, name: str) -> AbstractContextManager[Case]:
        """The case as it lies there."""
        return nullcontext(self._read(name))

    def digest(self, name: str) -> str | None:
        """Of the case as it is now."""
        return self._read(name).about.digest

    def order(self) -> dict[str, Any]:
        """The cases' own digests tell whether one is done; nothing else is asked for."""
        return {"cases": "stored"}

    def _read(self, name: str) -> Case:
        return read_case(self.folder / name, name)


@dataclass(frozen=True)
class Generated:
    """``count`` cases from ``seed`` on, of these profiles in turn, each thrown away after use.

    Attributes:
        kept: folder where they stay instead, for networks to come: most of the time goes into
            making them. A case that lies there is made anew only by another generator.

    Raises:
        UsageError: a profile does not exist, or there are no cases.
    """

    count: int
    seed: int
    profiles: tuple[str, ...]
    making: Making
    kept: Path | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.profiles if name not in PROFILES]
        if unknown:
            raise UsageError(
                f"There is no profile {unknown[0]!r}", hint=f"Use {', '.join(PROFILES)}"
            )
        if self.count < 1 or not self.profiles:
            raise UsageError(f"{self.count} cases cannot be made", hint="Ask for one or more")

    def names(self) -> list[str]:
        """By seed."""
        return [f"case-{self.seed + number:06d}" for number in range(self.count)]

    def made_from(self, name: str) -> tuple[int, str, bool]:
        """Seed and profile of a case, and whether it is shifted: of each profile its share."""
        seed = int(name.rpartition("-")[2])
        turn, place = divmod(seed - self.seed, len(self.profiles))
        shifted = is_shifted(self.seed + turn + place, self.making.shifted)
        return seed, self.profiles[place], shifted

    @contextmanager
    def opened(self, name: str) -> Iterator[Case]:
        """The case, made now or lying there."""
        seed, profile, shifted = self.made_from(name)
        passing = tempfile.TemporaryDirectory(prefix="sifdetect-")
        with passing if self.kept is None else nullcontext(self.kept) as folder:
            (made,) = write_cases(
                Path(folder),
                [seed],
                profile=profile,
                formats=("nifti",),
                making=replace(self.making, jobs=1, progress=None, shifted=float(shifted)),
            )
            yield read_case(made, name)

    def digest(self, name: str) -> str | None:
        """The order settles it: a seed gives the same case."""
        return None

    def order(self) -> dict[str, Any]:
        """All but how many: more of the same is the same order."""
        return {
            "cases": "generated",
            "seed": self.seed,
            "profiles": list(self.profiles),
            "shifted": self.making.shifted,
            "anatomy": self.making.anatomy.record(),
            "generator": record.generator(),
        }


def kind_of(name: str) -> tuple[Modality, MrWeighting | None]:
    """Modality and weighting of a series by its name, as ``cases.py`` gives it.

    Raises:
        UnreadableInput: it is neither ``ct`` nor an MR weighting.
    """
    said = name.split("-", maxsplit=1)[0]
    if said == "ct":
        return Modality.CT, None
    try:
        return Modality.MR, MrWeighting(said.upper())
    except ValueError:
        raise UnreadableInput(f"{name}{ENDING} is no name of a CT or an MR", hint=HINT) from None


def read_case(folder: Path, name: str) -> Case:
    """The case in a folder, under a name; its images are not read yet.

    Raises:
        UnreadableInput: its truth or record cannot be read, or it has no images with labels.
    """
    digest = hashlib.sha256()
    try:
        written = (folder / TRUTH).read_bytes()
        digest.update(written)
        truth = from_json(json.loads(written))
        said = _record(folder / RECORD, digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInput(
            f"The truth of {folder} cannot be read ({error})", hint=HINT
        ) from error
    shown = said.get("shown", {"stage": NOT_SAID, "mimics": [NOT_SAID]})
    about = About(
        name=name,
        digest=digest.hexdigest(),
        seed=said.get("seed"),
        profile=said.get("profile"),
        generator=f"{truth.algorithm.name} {truth.algorithm.version}",
        stage=shown.get("stage"),
        mimics=tuple(shown.get("mimics", ())),
        ct_occult=bool(shown.get("ct_occult", False)),
        shifted=bool(said.get("shifted", False)),
    )
    case = Case(folder, about, truth, said.get("thickness_mm", {}))
    _require_series(case)
    return case


def _record(path: Path, digest: hashlib._Hash) -> dict[str, Any]:
    """What the case was made from; nothing where it does not say."""
    if not path.exists():
        return {}
    written = path.read_bytes()
    digest.update(written)
    said: dict[str, Any] = json.loads(written)
    return said


def _require_series(case: Case) -> None:
    if not case.names:
        raise UnreadableInput(f"{case.folder / IMAGES} holds no image", hint=HINT)
    for name in case.names:
        kind_of(name)
        for ending in LABELS:
            path = case.folder / IMAGES / f"{name}{ending}{ENDING}"
            if not path.exists():
                raise UnreadableInput(f"{path} is missing", hint=HINT)


def profiles_of(names: Sequence[str]) -> tuple[str, ...]:
    """The profiles that were asked for; the usual one where none was."""
    return tuple(names) or (next(iter(PROFILES)),)
