"""The node's settings: defaults, file, environment, command line, and refusals that help."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config import Config, SendConfig, load, retry_delay_seconds
from dicom_node.settings import keys_of
from sifdetect.errors import ConfigurationError

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "sifnode.toml"


def test_a_node_without_settings_has_sensible_ones(tmp_path: Path) -> None:
    """SIFDETECT on port 11112 of this machine alone, with its data in the state folder."""
    config = load(environment={"XDG_STATE_HOME": str(tmp_path)})
    assert (config.dicom.ae_title, config.dicom.port) == ("SIFDETECT", 11112)
    assert config.dicom.bind == config.http.bind == "127.0.0.1"
    assert config.storage.folder == tmp_path / "sifnode"
    assert config.destination == {}


def test_the_example_shows_every_key_with_its_default() -> None:
    """examples/sifnode.toml can be copied: it changes nothing, and it leaves nothing out."""
    document = tomllib.loads(EXAMPLE.read_text())
    shown = load(EXAMPLE, environment={})
    for section, table in asdict(load(environment={})).items():
        if section != "destination":
            assert set(document[section]) == set(table)
            assert {**asdict(shown)[section], "folder": ""} == {**table, "folder": ""}
    (destination,) = document["destination"].values()
    assert {f"destination.NAME.{key}" for key in destination} == {
        key for key in keys_of(Config) if key.startswith("destination.")
    }


def test_environment_overrides_the_file_and_the_command_line_both(tmp_path: Path) -> None:
    """The last word has the command line, then the environment, then the file."""
    file = tmp_path / "sifnode.toml"
    file.write_text('[dicom]\nae_title = "FILE"\nport = 1001\nmax_associations = 3\n')
    config = load(
        file,
        environment={"SIFNODE_DICOM_AE_TITLE": "ENV", "SIFNODE_DICOM_PORT": "1002"},
        command_line={"dicom.port": "1003"},
    )
    assert (config.dicom.ae_title, config.dicom.port) == ("ENV", 1003)
    assert config.dicom.max_associations == 3


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """SIFNODE_CONFIG stands for --config."""
    file = tmp_path / "sifnode.toml"
    file.write_text("[study]\nquiet_seconds = 7\n")
    assert load(environment={"SIFNODE_CONFIG": str(file)}).study.quiet_seconds == 7.0


def test_every_key_can_be_set_from_the_environment() -> None:
    """A value for any key is either taken or refused as a value, never as an unknown key."""
    for dotted in keys_of(Config):
        variable = "SIFNODE_" + dotted.replace(".", "_").upper()
        with pytest.raises(ConfigurationError, match="is '") as refused:
            load(environment={variable: "\0", "SIFNODE_DESTINATION_NAME_HOST": "\0"})
        assert "unknown key" not in str(refused.value)


def test_a_destination_can_be_added_and_changed_from_the_environment(tmp_path: Path) -> None:
    """The name in the variable is that of the file, hyphens as underscores, or a new one."""
    file = tmp_path / "sifnode.toml"
    file.write_text('[destination.main-pacs]\nhost = "a"\nport = 104\nae_title = "PACS"\n')
    config = load(
        file,
        environment={
            "SIFNODE_DESTINATION_MAIN_PACS_PORT": "11113",
            "SIFNODE_DESTINATION_NEW_HOST": "b",
        },
    )
    assert config.destination["main-pacs"].port == 11113
    assert config.destination["NEW"].host == "b"


def test_lists_are_separated_by_commas_in_the_environment() -> None:
    """Allowed callers as text: AE, or AE@ADDRESS."""
    config = load(environment={"SIFNODE_DICOM_ALLOWED_CALLERS": "CT1, PACS@10.0.0.5"})
    assert config.dicom.allowed_callers == ("CT1", "PACS@10.0.0.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dicom]\nprot = 1\n", "nearest valid one is 'port'"),
        ("[dicmo]\nport = 1\n", "nearest valid one is 'dicom'"),
        ('[dicom]\nport = "1"\n', "no whole number"),
        ("[dicom]\nport = true\n", "no whole number"),
        ("[dicom]\nport = 65536\n", "outside 0 to 65535"),
        ('[dicom]\nae_title = "LONGER THAN SIXTEEN"\n', "not allowed there"),
        ('[dicom]\nae_title = "A\\\\B"\n', "not allowed there"),
        ('[dicom]\nallowed_callers = ["A@b@c"]\n', "not allowed there"),
        ("[study]\nquiet_seconds = 60\nmax_wait_seconds = 30\n", "shorter than"),
        ("[send]\nfirst_retry_seconds = nan\n", "outside"),
        ("[destination.PACS1]\nport = 104\n", "has no host"),
        ('[destination."../x"]\nhost = "a"\n', "no valid name"),
        ("destination = 3\n", "no table"),
        ("dicom = 3\n", "table of keys"),
        ("[dicom\n", "not valid TOML"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    """One sentence with the file, the key and what to do; exit code 3."""
    file = tmp_path / "sifnode.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as refused:
        load(file, environment={})
    assert str(file) in str(refused.value)
    assert refused.value.exit_code == 3


def test_a_misspelt_variable_is_refused_with_the_nearest_key() -> None:
    """A variable that would be ignored is a setting that somebody believes in."""
    with pytest.raises(ConfigurationError, match=r"nearest valid one is 'dicom\.port'"):
        load(environment={"SIFNODE_DICOM_PRT": "1"})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """Not every mistake is inside the file."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml", environment={})


@given(st.integers(0, 5000))
def test_attempts_wait_longer_each_time_up_to_a_limit(attempt: int) -> None:
    """min(30 · 2^n, 900) seconds by default, whatever the number of attempts."""
    expected = 30.0 * 2**attempt if attempt < 5 else 900.0
    assert retry_delay_seconds(SendConfig(), attempt) == expected
