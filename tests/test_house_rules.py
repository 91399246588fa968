"""The house rules for code that no ready-made linter checks: sizes, purity, manners."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("sifdetect", "dicom_node", "tests", "tools", "examples", "benchmarks")
LIBRARY = ("sifdetect", "dicom_node")

MODULE_LINES = 300
FUNCTION_LINES = 40
ARGUMENTS = 6
POSITIONAL = 4
PUBLIC_NAMES = 10

PURE = (
    "errors",
    "anatomy",
    "volume",
    "findings",
    "study",
    "measure",
    "classify",
    "compare",
    "transfer",
    "view",
    "synth.case",
)
HEAVY = ("torch", "monai", "openvino", "pydicom", "highdicom", "pynetdicom", "dbos")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_modules_stay_short() -> None:
    """A file of more than 300 lines holds two ideas."""
    long = {
        _name(path): lines
        for path in _python(CODE)
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES
    }
    assert long == {}


def test_functions_stay_short() -> None:
    """No function has more than 40 lines, its docstring not counted."""
    long = {
        f"{_name(path)}:{function.lineno} {function.name}": lines
        for path, function in _functions(CODE)
        if (lines := _lines(function)) > FUNCTION_LINES
    }
    assert long == {}


def test_functions_take_few_arguments() -> None:
    """No function takes more than six arguments; a builder in the tests may."""
    many = {
        f"{_name(path)}:{function.lineno} {function.name}": count
        for path, function in _functions(tuple(folder for folder in CODE if folder != "tests"))
        if (count := len(_positional(function)) + len(function.args.kwonlyargs)) > ARGUMENTS
    }
    assert many == {}


def test_public_functions_name_their_later_arguments() -> None:
    """More than four values by position are easily swapped."""
    many = {
        f"{_name(path)}:{function.lineno} {function.name}": len(_positional(function))
        for path, function in _functions(LIBRARY)
        if not function.name.startswith("_") and len(_positional(function)) > POSITIONAL
    }
    assert many == {}


def test_only_the_command_lines_print_and_exit() -> None:
    """The library speaks by return values and errors."""
    calls = [
        f"{_name(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path in _python(LIBRARY)
        if path.name not in ("cli.py", "__main__.py") and path.parent.name != "commands"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit")
    ]
    assert calls == []


def test_every_suppression_carries_its_reason() -> None:
    """A noqa or type: ignore is followed by a second comment that says why."""
    mark = re.compile(r"#\s*(noqa|type:\s*ignore)")
    whole = re.compile(r"#\s*(noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[a-z, -]+\])\s+#\s*\w+")
    bare = [
        f"{_name(path)}:{number} {line.strip()}"
        for path in _python(CODE)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if mark.search(line) and not whole.search(line)
    ]
    assert bare == []


def test_no_module_is_a_drawer() -> None:
    """A name such as utils says nothing about what lies inside."""
    drawers = {"utils", "util", "helpers", "common", "misc", "base"}
    assert [_name(path) for path in _python(CODE) if path.stem in drawers] == []


def test_nothing_draws_from_a_global_generator() -> None:
    """Randomness comes in as a numpy Generator, so that a seed decides everything."""
    drawn = re.compile(
        r"\bnp\.random\.(?!Generator|default_rng|SeedSequence|PCG64)\w+|^import random"
    )
    used = [
        f"{_name(path)}:{number} {line.strip()}"
        for path in _python(LIBRARY)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if drawn.search(line)
    ]
    assert used == []


def test_every_test_says_what_it_shows() -> None:
    """Each test function has a docstring."""
    mute = [
        f"{_name(path)}:{function.lineno} {function.name}"
        for path, function in _functions(("tests",))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert mute == []


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_loads_nothing_heavy(module: str) -> None:
    """Importing it in a fresh interpreter brings in no network and no DICOM library."""
    code = (
        f"import sys, sifdetect.{module};"
        f"print(sorted(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_package_offers_few_names() -> None:
    """At most ten names are public in ``sifdetect``."""
    import sifdetect  # noqa: PLC0415  # only this test needs the package itself

    assert len(sifdetect.__all__) <= PUBLIC_NAMES
    assert all(hasattr(sifdetect, name) for name in sifdetect.__all__)


def _python(folders: tuple[str, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _functions(folders: tuple[str, ...]) -> Iterator[tuple[Path, Function]]:
    for path in _python(folders):
        for node in ast.walk(_tree(path)):
            if isinstance(node, Function):
                yield path, node


def _lines(function: Function) -> int:
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def _positional(function: Function) -> list[str]:
    names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    return [name for name in names if name not in ("self", "cls")]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
