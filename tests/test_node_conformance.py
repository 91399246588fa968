"""``docs/conformance.md`` and ``docs/ihe-air.md`` are what the code says today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dicom_node import admission, conformance, integration, receive
from dicom_node.cli import main
from dicom_node.config import DicomConfig
from dicom_node.receive import Receiver
from dicom_node.spool import Spool
from sifdetect.dicom.objects_page import object_kinds
from sifdetect.dicom.results import KINDS

DOCS = Path(__file__).parents[1] / "docs"


def test_the_conformance_statement_is_up_to_date() -> None:
    """Else: sifnode conformance > docs/conformance.md."""
    assert (DOCS / "conformance.md").read_text(encoding="utf-8") == conformance.statement()


def test_the_integration_statement_is_up_to_date() -> None:
    """Else: sifnode conformance --ihe > docs/ihe-air.md."""
    assert (DOCS / "ihe-air.md").read_text(encoding="utf-8") == integration.statement()


def test_no_transaction_is_claimed_that_was_not_compared() -> None:
    """Three numbers, each beside what the node does; all else stands under no number."""
    claimed = set(re.findall(r"RAD-\d+", integration.statement()))
    assert claimed == {"RAD-10", "RAD-18", "RAD-43"}


def test_the_command_prints_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    """It is how they are made."""
    assert main(["conformance"]) == main(["conformance", "--ihe"]) == 0
    told = capsys.readouterr().out
    assert told == conformance.statement() + integration.statement()


def test_the_statement_names_what_the_acceptor_takes(tmp_path: Path) -> None:
    """SOP classes and transfer syntaxes are those of a receiver that could listen now."""
    receiver = Receiver(DicomConfig(), spool=Spool(tmp_path), min_free_mb=0, arrived=lambda _: None)
    terms = receiver._house().terms
    page = conformance.statement()
    offered = {*terms.storage_classes, *terms.transfer_syntaxes}
    assert {uid for uid in offered if f"`{uid}`" not in page} == set()
    assert set(receive.storage_classes()) == terms.storage_classes


def test_the_statement_names_every_answer_to_who_asks() -> None:
    """Rejections of the receiver and of the rules of admission, each with its setting."""
    page = conformance.statement()
    rules = [one for one in vars(admission).values() if isinstance(one, admission.Rejection)]
    answers = {one.answer for one in rules} | {(1, 1, 2), (1, 2, 2)}
    assert len(rules) >= 5
    assert {one for one in answers if f"| {'/'.join(map(str, one))} |" not in page} == set()
    assert {one.reason for one in rules if one.reason not in page} == set()
    for setting in ("object_mb", "study_mb", "study_instances", "associations_per_peer"):
        assert f"`limits.{setting}`" in page


def test_every_kind_of_result_is_described() -> None:
    """Each has a row, and its patient comes from the source and from nowhere else."""
    kinds = object_kinds()
    assert [kind.output for kind in kinds] == list(KINDS)
    for kind in kinds:
        stated = {one.name: one.value for one in kind.attributes}
        assert stated["Patient ID"] == stated["Study Instance UID"] == "copied from the source"
        assert stated["Manufacturer"] == "sifdetect project"
