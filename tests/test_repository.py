"""What the files of the repository promise each other and the reader."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
import dicom_node, sifdetect
sys.modules.update(dict.fromkeys(sys.argv[1:]))
for package in (sifdetect, dicom_node):
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(one.name)
"""
FOLDERS = (
    "sifdetect",
    "dicom_node",
    "tests",
    "tools",
    "examples",
    "benchmarks",
    "docs",
    "models",
    ".ci",
)
SUFFIXES = (".py", ".md", ".toml", ".json", ".yaml", ".sh", ".txt", ".ini", ".html")


def test_no_file_names_a_place_on_one_machine() -> None:
    """Paths of homes, checkouts and temporary folders do not travel."""
    place = re.compile(r"(?<![\w.])/(work|home|root|Users|tmp)/\w|/opt/(pypi|wheels)|[A-Z]:\\Users")
    named = [
        f"{_name(path)}:{number} {line.strip()[:80]}"
        for path in _texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if place.search(line)
    ]
    assert named == []


def test_constraints_pin_every_requirement() -> None:
    """Each requirement in pyproject.toml has one pinned version, and that version satisfies it."""
    pins = _pins()
    unmet = [
        str(requirement)
        for requirement in _requirements()
        if (pin := pins.get(_normal(requirement.name))) is None
        or not requirement.specifier.contains(pin, prereleases=True)
    ]
    assert unmet == []


def test_torch_is_asked_for_by_one_exact_version() -> None:
    """pyproject.toml, constraints.txt and the Makefile name the same torch."""
    wanted = next(item for item in _requirements() if item.name == "torch")
    assert f"TORCH := {wanted}" in (ROOT / "Makefile").read_text()
    assert str(wanted.specifier) == f"=={_pins()['torch']}"


def test_continuous_integration_runs_make_test_alone() -> None:
    """``.ci/run`` calls exactly what a developer calls."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert [line.rpartition("&& ")[2] for line in commands] == ["exec make test"]


def test_make_targets_named_in_documents_exist() -> None:
    """Every ``make x`` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for path in _documents()
        for word in re.findall(r"(?:`|^)make ([a-z]+)", path.read_text(), re.MULTILINE)
    }
    assert named - targets == set()
    assert {"demo", "test"} <= named


def test_commands_shown_in_documents_exist() -> None:
    """Every ``sifdetect x`` or ``sifnode x`` in a code block is a command that has its help."""
    shown = {
        match
        for path in _documents()
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        for match in re.findall(r"^(?:\$ )?(sifdetect|sifnode) ([a-z][a-z-]*)", block, re.MULTILINE)
    }
    failed = [command for command in sorted(shown) if _help_fails(*command)]
    assert failed == []
    assert shown != set()


def test_links_in_documents_lead_somewhere() -> None:
    """Relative links and pictures in documents are files that are there."""
    dead = [
        f"{_name(path)}: {target}"
        for path in _documents()
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_the_changelog_knows_this_version() -> None:
    """The version in pyproject.toml has its section, or is still under Unreleased."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version in headings


def test_every_decision_is_in_the_index() -> None:
    """docs/decisions/README.md links each decision once."""
    folder = ROOT / "docs" / "decisions"
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert sorted(linked) == sorted(path.name for path in folder.glob("[0-9]*.md"))


def _documents() -> list[Path]:
    return sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def _texts() -> list[Path]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    top = [path for path in ROOT.iterdir() if path.is_file()]
    files = [path for path in inside + top if path.suffix in SUFFIXES or path.name == "Makefile"]
    return sorted(files)


def _requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def _pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {_normal(name): Version(version) for name, version in pairs}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _help_fails(program: str, command: str) -> bool:
    script = Path(sys.executable).parent / program
    done = subprocess.run([script, command, "--help"], capture_output=True, check=False)
    return done.returncode != 0


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.slow
def test_no_module_needs_what_training_alone_brings() -> None:
    """An installation without extras, as in the container, can do all but train."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [Requirement(one).name for one in project["optional-dependencies"]["train"]]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *extras],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
