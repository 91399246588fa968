"""The command line: what it prints where, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sifdetect.anatomy import Modality
from sifdetect.bundle import OPENVINO_MODEL, localizer_spec, verify
from sifdetect.cli import main
from sifdetect.learn.export import export
from tests.bundles import random_state, small


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder with one bundle in it."""
    spec = small(localizer_spec(Modality.CT))
    export(random_state(spec), spec, tmp_path / "models")
    return tmp_path / "models"


def test_help_does_not_wait_for_the_networks() -> None:
    """Asking for help loads neither torch nor OpenVINO nor pydicom."""
    code = (
        "import sys; from sifdetect.cli import main\n"
        "try: main(['analyze', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'monai', 'openvino', 'pydicom', 'highdicom'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--outputs" in done.stdout


def test_other_libraries_do_not_speak_on_stderr() -> None:
    """Their warnings quote patients' names; one sentence of ours is all there is."""
    code = (
        "import logging, warnings; from sifdetect.cli import main\n"
        "main(['model', 'verify', 'none', '--models', 'nowhere'])\n"
        "logging.getLogger('pydicom').warning('DOE^JANE')\n"
        "warnings.warn('DOE^JANE')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("sifdetect: The bundle none cannot be read")
    assert "DOE" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["analyze"],
        ["analyze", "x", "--engine", "abacus"],
        ["train", "x.yaml", "--set", "novalue"],
        ["analyze", "x", "-q", "-v"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]) -> None:
    """What has no meaning is refused by the parser."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_models_are_listed_as_json(bundles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line on stdout, with the checksum that a report names."""
    assert main(["model", "list", "--models", str(bundles), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row == {
        "name": "localizer_ct",
        "version": "0.1.0",
        "sha256": verify(bundles / "localizer_ct").sha256,
    }


def test_an_altered_model_is_exit_code_5(bundles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verifying says on stderr which file differs; stdout stays empty."""
    assert main(["model", "verify", "--models", str(bundles)]) == 0
    capsys.readouterr()
    (bundles / "localizer_ct" / OPENVINO_MODEL).write_text("<net/>")
    assert main(["model", "verify", "--models", str(bundles)]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert "model.xml" in said.err


def test_a_model_is_exported_again(bundles: Path, tmp_path: Path) -> None:
    """The bundle made from a bundle's torch weights has the same weights."""
    out = tmp_path / "again"
    assert main(["model", "export", "localizer_ct", "--models", str(bundles), "-o", str(out)]) == 0
    before, after = verify(bundles / "localizer_ct"), verify(out / "localizer_ct")
    assert after.sha256 == before.sha256


def test_a_missing_model_is_exit_code_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the bundle and the variable that says where bundles are."""
    assert main(["model", "verify", "region_ct", "--models", str(tmp_path)]) == 5
    assert "region_ct" in capsys.readouterr().err


def test_an_unreadable_training_file_is_exit_code_3(tmp_path: Path) -> None:
    """A configuration that is not there is a matter of configuration."""
    assert main(["train", str(tmp_path / "none.yaml")]) == 3


def test_a_profile_that_does_not_exist_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message lists those that do."""
    arguments = ["synth", "-o", str(tmp_path), "--cases", "1", "--seed", "1"]
    assert main([*arguments, "--profile", "pet"]) == 2
    assert "ct-mr" in capsys.readouterr().err
