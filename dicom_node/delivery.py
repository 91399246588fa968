"""One attempt to deliver a report to a destination, and what is known of it afterwards.

The document that ``attempt`` returns holds everything: the answer to each object, the circuit's
word, the commitment that is waited for. States: waiting, committing, delivered, given up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dicom_node.answers import Answer, chosen
from dicom_node.circuit import Circuit
from dicom_node.commit import Commitments, reason_of, request
from dicom_node.config import Config, retry_delay_seconds
from dicom_node.durable import make_folder
from dicom_node.killpoint import reach
from dicom_node.leftovers import OUTGOING
from dicom_node.reports import Report
from dicom_node.send import NoContext, echo, send
from sifdetect.errors import ConfigurationError, NetworkError


class Courier:
    """Delivers reports, keeping one circuit for each destination below ``folder``."""

    def __init__(self, config: Config, folder: Path, now: Callable[[], float]) -> None:
        self._config = config
        self._folder = folder
        self._now = now
        self._commitments = Commitments(folder)

    def attempt(self, report: Report, name: str) -> tuple[dict[str, Any], float]:
        """Do what can be done now; returns what is known then, and seconds until the next attempt.

        0 seconds means that there is none: the report is delivered, or given up.
        """
        document = self._begun(report.delivery(name), name)
        paths = chosen(report.objects, self._config.objects_for(name))
        self._read_commitment(document)
        circuit = self._circuit(name)
        held = circuit.hold_seconds
        if held:
            document["error"] = "held back, because it failed again and again"
        elif not _is_done(document, paths, commit=self._commits(name)):
            self._try(document, paths, circuit)
        return self._judged(document, paths, held)

    def _begun(self, known: dict[str, Any] | None, name: str) -> dict[str, Any]:
        fresh = {"first_attempt_at": self._now(), "attempts": 0, "checks": 0, "objects": {}}
        fresh |= {"commit": None, "destination": name}
        return fresh | (known or {}) | {"error": ""}

    def _commits(self, name: str) -> bool:
        return self._config.destination[name].commit

    def _circuit(self, name: str) -> Circuit:
        path = self._folder / "destinations" / f"{name}.json"
        return Circuit(path, self._config.send, self._now)

    def _try(self, document: dict[str, Any], paths: list[Path], circuit: Circuit) -> None:
        name = document["destination"]
        peer = self._config.destination[name]
        answers = document["objects"]
        left = [path for path in paths if not _has(answers, path, "accepted")]
        title, seconds = self._config.dicom.ae_title, self._config.send.timeout_seconds
        document["attempts"] += bool(left or circuit.is_open)
        try:
            if circuit.is_open:
                with suppress(NoContext):  # without Verification, but there
                    echo(peer, own_title=title, timeout_seconds=seconds)
            if left:
                make_folder(work := self._folder / OUTGOING)
                fresh = send(peer, left, own_title=title, timeout_seconds=seconds, work=work)
                answers |= {one.name: one.as_document() for one in fresh}
            if peer.commit and all(_has(answers, path, "accepted") for path in paths):
                self._ask_for_commitment(document)
        except (NetworkError, ConfigurationError) as error:
            circuit.failed(error.reason)
            document["error"] = error.reason
        except Exception as error:  # noqa: BLE001  # a broken chain of attempts would lose the report
            document["error"] = f"Sending failed with {type(error).__name__}"
        else:
            circuit.answered()

    def _ask_for_commitment(self, document: dict[str, Any]) -> None:
        """Ask for what is accepted and not committed, unless an answer may still come."""
        asked = document["commit"]
        if asked:
            if self._now() - asked["at"] < self._config.commit.timeout_seconds:
                return
            self._commitments.forget(asked["transaction"])
            document["error"] = "no answer to storage commitment, so it is asked for again"
        name = document["destination"]
        objects = [
            (one["sop_class_uid"], one["sop_instance_uid"])
            for one in document["objects"].values()
            if not one.get("committed")
        ]
        transaction = self._commitments.begin(name)
        document["commit"] = {"transaction": transaction, "at": self._now()}
        try:
            request(
                self._config.destination[name],
                objects,
                transaction=transaction,
                config=self._config,
                commitments=self._commitments,
            )
            reach("commitment asked for")
        except NetworkError as error:  # it has just taken the objects: no matter of the circuit
            self._commitments.forget(transaction)
            document |= {"commit": None, "error": f"storage commitment: {error.reason}"}
        self._read_commitment(document)

    def _read_commitment(self, document: dict[str, Any]) -> None:
        """Take over an answer that came; what was not committed is to be sent again."""
        asked = document["commit"]
        answer = self._commitments.answer(asked["transaction"]) if asked else None
        if answer is None:
            return
        for one in document["objects"].values():
            uid = one["sop_instance_uid"]
            if uid in answer["committed"]:
                one["committed"] = True
            elif uid in answer["failed"]:
                code = answer["failed"][uid]
                one |= {"accepted": False, "status": f"0x{code:04X}"}
                one["reason"] = f"storage not committed: {reason_of(code)}"
        self._commitments.forget(asked["transaction"])
        document["commit"] = None

    def _judged(
        self, document: dict[str, Any], paths: list[Path], held: float
    ) -> tuple[dict[str, Any], float]:
        commit = self._commits(document["destination"])
        delivered = _is_done(document, paths, commit=commit)
        waited = self._now() - document["first_attempt_at"]
        too_old = waited >= self._config.send.give_up_hours * 3600
        accepted = all(_has(document["objects"], path, "accepted") for path in paths)
        waiting = "committing" if accepted and commit else "waiting"
        document["state"] = "delivered" if delivered else "given up" if too_old else waiting
        document["last_attempt_at"] = self._now()
        if delivered or too_old:
            return document, 0.0
        if held:
            return document, held
        document["checks"] += 1
        return document, retry_delay_seconds(self._config.send, document["checks"] - 1)


def told(before: dict[str, Any] | None, document: dict[str, Any]) -> str:
    """What the destination said this time, object by object, for the log."""
    return ", ".join(
        str(Answer(name=one["name"], **{key: one[key] for key in _ANSWER}))
        for one in fresh(before, document)
    )


def fresh(before: dict[str, Any] | None, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers that are new, each with the object's ``name``, in the order of the names."""
    known = (before or {}).get("objects", {})
    objects = sorted(document["objects"].items())
    return [{**one, "name": name} for name, one in objects if known.get(name) != one]


_ANSWER = ("word", "accepted", "status", "reason")


def _has(answers: dict[str, Any], path: Path, what: str) -> bool:
    return bool(answers.get(path.name, {}).get(what))


def _is_done(document: dict[str, Any], paths: list[Path], *, commit: bool) -> bool:
    wanted = ("accepted", "committed") if commit else ("accepted",)
    return all(_has(document["objects"], path, what) for path in paths for what in wanted)
