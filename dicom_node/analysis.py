"""The analysis in a process of its own: it may be slow, hang, or die, and the node lives on.

The process is started once and keeps its models. It ends with the node, however the node ends.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dicom_node import logs
from dicom_node.circumstances import circumstances_of
from dicom_node.config import AnalysisConfig
from sifdetect.errors import SifdetectError

if TYPE_CHECKING:
    from sifdetect.findings import StudyFindings

_TRIES = 2
_WATCH_SECONDS = 1.0
_OURS = SifdetectError.exit_code


class Analyzed(Protocol):
    """What the analysis says of one study, as ``sifdetect.app.Analyzed`` does."""

    @property
    def findings(self) -> StudyFindings | None:
        """What was found; None where the study could not be assessed."""

    @property
    def error(self) -> SifdetectError | None:
        """Why it could not be assessed."""


Analyze = Callable[[Sequence[Path], Path], Sequence[Analyzed]]
"""Analyse one study's images and write the results below a folder; may be pickled."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the analysis of one study ended.

    Attributes:
        state: ``reported``, ``refused`` (the study's fault, a text report says so) or ``failed``.
        presence: what the report says, where there is one.
        reason: why it was refused or failed, one sentence.
        exit_code: the command line's answer to the same input.
    """

    state: str
    presence: str = ""
    reason: str = ""
    exit_code: int = 0
    seconds: float = 0.0

    def as_document(self) -> dict[str, Any]:
        """The outcome as plain JSON values."""
        return asdict(self)

    @property
    def told(self) -> str:
        """The reason for who reads the report: what an unexpected error says may quote a path."""
        return self.reason.partition(": ")[0] if self.exit_code == _OURS else self.reason


def analyze_with_sifdetect(config: AnalysisConfig) -> Analyze:
    """The analysis that the settings ask for."""
    return partial(_analyze, config.outputs, config.engine, config.device)


def _analyze(
    outputs: tuple[str, ...], engine: str, device: str, paths: Sequence[Path], out: Path
) -> Sequence[Analyzed]:
    # Heavy, and needed only in the process that analyses.
    from sifdetect.app import Options, analyze_to_folder  # noqa: PLC0415  # see above
    from sifdetect.engine import Engine  # noqa: PLC0415  # see above

    told = circumstances_of(out.parent)
    options = Options(engine=Engine(engine), device=device, prior=told.prior, remarks=told.remarks)
    return analyze_to_folder(paths, out, outputs=outputs, options=options)


class Analyst:
    """One process that analyses study after study; calls wait for one another."""

    def __init__(self, analyze: Analyze, timeout_seconds: float) -> None:
        self._analyze = analyze
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._stopped = threading.Event()

    def analyse(self, images: Sequence[Path], out: Path) -> Outcome:
        """Analyse the images of one study and write its results into the empty folder ``out``.

        Raises:
            OSError: results could not be written, or no process could be started.
        """
        begun = time.monotonic()
        with self._lock:
            for _ in range(_TRIES):
                answer = self._ask(images, out)
                if answer is not None:
                    break
            else:
                answer = Outcome(
                    state="failed", reason="The analysis process died twice", exit_code=_OURS
                )
        if isinstance(answer, OSError):
            raise answer
        return Outcome(**{**asdict(answer), "seconds": round(time.monotonic() - begun, 3)})

    def stop(self) -> None:
        """End the process, whatever it is doing; who waits for its answer waits for ever.

        A study whose analysis the node itself cut short has not failed: its job stays unfinished,
        as after a kill, and the next start takes it up.
        """
        self._stopped.set()
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _ask(self, images: Sequence[Path], out: Path) -> Outcome | OSError | None:
        """The answer; None where the process died of the question."""
        connection = self._start()
        try:
            connection.send((list(images), out))
            if connection.poll(self._timeout_seconds):
                received = connection.recv()
                assert isinstance(received, Outcome | OSError)
                return received
        except (EOFError, ConnectionError):
            if self._stopped.is_set():
                threading.Event().wait()
            logs.error("analysis process died")
            self._kill()
            return None
        self._kill()
        reason = f"The analysis took longer than {self._timeout_seconds:g} s and was stopped"
        return Outcome(state="failed", reason=reason, exit_code=_OURS)

    def _start(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._connection is None:
            context = get_context("spawn")  # fork would copy the node's threads' locks
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_work,
                args=(theirs, self._analyze, os.getpid()),
                daemon=True,
                name="analysis",
            )
            self._process.start()
            theirs.close()
        return self._connection


def _work(connection: Connection, analyze: Analyze, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.simplefilter("ignore")  # pydicom's quote the values that they complain about
    threading.Thread(target=_die_with_parent, args=(parent,), daemon=True).start()
    while True:
        try:
            images, out = connection.recv()
        except EOFError:
            return
        connection.send(_answer(analyze, images, out))


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(0)


def _answer(analyze: Analyze, images: Sequence[Path], out: Path) -> Outcome | OSError:
    try:
        entries = analyze(images, out)
    except SifdetectError as error:
        return Outcome(state="failed", reason=str(error), exit_code=error.exit_code)
    except OSError as error:
        return OSError(error.errno, error.strerror)
    except Exception as error:  # noqa: BLE001  # whatever it is, the next study must go on
        reason = f"The analysis failed with {type(error).__name__}: {error}"
        return Outcome(state="failed", reason=reason, exit_code=_OURS)
    return _outcome_of(entries)


def _outcome_of(entries: Sequence[Analyzed]) -> Outcome:
    for entry in entries:
        if entry.error is not None:
            state = "refused" if entry.error.exit_code == 4 else "failed"
            return Outcome(state=state, reason=str(entry.error), exit_code=entry.error.exit_code)
        if entry.findings is not None:
            return Outcome(state="reported", presence=entry.findings.presence.value)
    return Outcome(state="failed", reason="The analysis returned nothing", exit_code=_OURS)
