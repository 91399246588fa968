"""Splits: between patients, never within one, the same ones every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sifdetect.cli import main
from sifdetect.errors import UsageError
from sifdetect.learn.external.split import split_of
from sifdetect.learn.external.store import CaseRecord, read_dataset
from tests.labelled import dataset


def record(name: str, patient: str, *, ill: bool) -> CaseRecord:
    """A case of which only patient and lesions count."""
    return CaseRecord(name, patient, (), None, None, ("edema",), {"edema": 5 if ill else 0})


RECORDS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40).map(
    lambda drawn: tuple(
        record(f"case-{number}", f"patient-{patient}", ill=ill)
        for number, (patient, ill) in enumerate(drawn)
    )
)


# A busy machine is slow.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS, st.floats(0.05, 0.95), st.integers(0, 9))
def test_every_patient_is_in_one_part(
    cases: tuple[CaseRecord, ...], share: float, seed: int
) -> None:
    """Each part has somebody; the order of the cases does not matter; the share is near."""
    patients = {case.patient for case in cases}
    if len(patients) < 2:
        with pytest.raises(UsageError):
            split_of(cases, validation=share, seed=seed)
        return
    parts = split_of(cases, validation=share, seed=seed)
    assert set(parts) == patients
    assert set(parts.values()) == {"training", "validation"}
    assert split_of(cases[::-1], validation=share, seed=seed) == parts
    count = sum(part == "validation" for part in parts.values())
    assert abs(count - share * len(patients)) <= 1


def test_the_ill_and_the_well_are_parted_alike() -> None:
    """A fifth of either validates."""
    cases = tuple(record(str(n), str(n), ill=n < 10) for n in range(40))
    parts = split_of(cases, validation=0.2, seed=3)
    held_out = [int(patient) for patient, part in parts.items() if part == "validation"]
    assert len(held_out) == 8
    assert sum(number < 10 for number in held_out) == 2
    assert split_of(cases, validation=0.2, seed=4) != parts


def test_the_command_writes_the_split_into_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Share and seed with it; a share that is none is exit code 2."""
    folder = dataset(tmp_path, "a", "b", "c")
    assert main(["data", "split", str(folder), "--validation", "0.34", "--seed", "5"]) == 0
    found = read_dataset(folder)
    assert sorted(case.split or "" for case in found.cases) == [
        "training",
        "training",
        "validation",
    ]
    assert found.split == {"validation": 0.34, "seed": 5}
    assert "validation: 1 patients" in capsys.readouterr().out
    assert main(["data", "split", str(folder), "--validation", "2"]) == 2
