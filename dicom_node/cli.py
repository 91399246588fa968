"""``sifnode …``: parsing and printing only. JSON and answers on stdout, logs on stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dicom_node import logs
from dicom_node.config import Config, load
from dicom_node.durable import OTHERS
from sifdetect import __version__
from sifdetect.errors import BatchIncomplete, ConfigurationError, SifdetectError, UsageError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 130 or that of the error (see ``sifdetect.errors``)."""
    options = _parser().parse_args(arguments)
    try:
        config = load(options.config, command_line=_overrides(options))
        logs.set_up(config.log.level)
        os.umask(OTHERS)  # whatever a command writes is the node's
        code = int(options.run(config, options) or 0)
        sys.stdout.flush()  # here, where it can still be told that nobody reads
        return code
    except SifdetectError as error:
        print(_printable(f"sifnode: {error}"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # whoever read the answer has had enough of it
    except PermissionError as error:
        print(f"sifnode: {error.filename} is not for this user to read.", file=sys.stderr)
        return ConfigurationError.exit_code
    except KeyboardInterrupt:
        print("sifnode: interrupted", file=sys.stderr)
        return INTERRUPTED


def _serve(config: Config, _: argparse.Namespace) -> int:
    from dicom_node.service import serve  # noqa: PLC0415  # heavy; --help must not wait for it

    serve(config, ready=_print_ready)
    leave()
    return 0


def leave() -> None:
    """End the process now: threads of associations and jobs would keep it, and may be cut off."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _print_ready(status: dict[str, Any]) -> None:
    print(json.dumps({"event": "ready", **status}), flush=True)


def _status(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.status import as_lines, status_of  # noqa: PLC0415  # as above

    status = status_of(config.storage.folder)
    if options.id:
        status["studies"] = [
            study for study in status["studies"] if study["study_instance_uid"] == options.id
        ]
        if not status["studies"]:
            raise UsageError(f"There is no study {options.id!r}", hint="Ask without an ID")
    _show(status, as_lines(status), options)
    return 0


def _check(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.checks import check_all  # noqa: PLC0415  # as above

    checks = check_all(config)
    lines = [f"{one.name}: {one.trouble or 'ok'}" for one in checks]
    _show([asdict(one) for one in checks], lines, options)
    return next((one.exit_code for one in checks if one.trouble), 0)


def _echo(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.send import echo  # noqa: PLC0415  # as above

    destination = config.destination.get(options.name)
    if destination is None:
        known = ", ".join(sorted(config.destination)) or "none"
        raise UsageError(f"There is no destination {options.name!r}", hint=f"Known: {known}")
    echo(
        destination,
        own_title=config.dicom.ae_title,
        timeout_seconds=config.send.timeout_seconds,
    )
    _show({"destination": options.name, "answered": True}, [f"{options.name} answered"], options)
    return 0


def _retry(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.jobs import retry  # noqa: PLC0415  # as above

    report = retry(config.storage.folder, options.id, config.jobs.database)
    line = f"report {report.manifest_hash} is done again"
    _show({"report": report.manifest_hash}, [line], options)
    return 0


def _queue_list(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.jobs import list_jobs  # noqa: PLC0415  # as above

    jobs = list_jobs(config.storage.folder, config.jobs.database)
    lines = [f"{job.status:9} {job.id}" for job in jobs] or ["no job waits, runs or is dead"]
    _show([asdict(job) for job in jobs], lines, options)
    return 0


def _queue_show(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.job_actions import show_job  # noqa: PLC0415  # as above

    job = show_job(config.storage.folder, options.id, config.jobs.database)
    lines = [f"{key}: {value}" for key, value in job.items() if key != "study"]
    _show(job, [*lines, f"study: {(job['study'] or {}).get('state', 'not in the spool')}"], options)
    return 0


def _queue_cancel(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.job_actions import drop_job  # noqa: PLC0415  # as above

    told = drop_job(config.storage.folder, options.id, config.jobs.database)
    _show({"job": options.id, "told": told}, [f"{options.id}: {told}"], options)
    return 0


def _send_test(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.status import study_lines  # noqa: PLC0415  # as above
    from dicom_node.trial import send_test  # noqa: PLC0415  # as above

    told = send_test(
        config,
        folder=options.folder,
        seed=options.seed,
        wait_seconds=options.timeout,
        caller=options.caller,
    )
    seconds = ", ".join(f"{key} in {value:g} s" for key, value in told["seconds"].items())
    lines = [f"{told['images']} images to {told['node']}: {seconds}", *study_lines(told["study"])]
    _show(told, lines, options)
    return 0 if told["study"]["state"] == "sent" else BatchIncomplete.exit_code


def _reanalyze(config: Config, options: argparse.Namespace) -> int:
    from dicom_node.campaign import Campaign, parse_query  # noqa: PLC0415  # as above

    counts = Campaign(config, options.campaign).run(
        parse_query(options.query),
        per_hour=options.per_hour,
        limit=options.limit,
        timeout_seconds=options.timeout,
    )
    _show(counts, [f"{state}: {count}" for state, count in sorted(counts.items())], options)
    return 0


def _conformance(_: Config, options: argparse.Namespace) -> int:
    from dicom_node import conformance, integration  # noqa: PLC0415  # as above

    page = integration.statement() if options.ihe else conformance.statement()
    sys.stdout.write(page)
    return 0


def _show(document: Any, lines: list[str], options: argparse.Namespace) -> None:
    print(json.dumps(document) if options.json else "\n".join(map(_printable, lines)))


def _printable(line: str) -> str:
    """A line that says nothing to a terminal: it may quote what a file or a peer holds."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _overrides(options: argparse.Namespace) -> dict[str, str]:
    keys = {"ae_title": "dicom.ae_title", "port": "dicom.port", "http_port": "http.port"}
    keys["role"] = "jobs.role"
    given = {keys[name]: getattr(options, name, None) for name in keys}
    return {key: value for key, value in given.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sifnode",
        description="Receives studies, has them analysed, sends the results back. Research use.",
    )
    parser.add_argument("--version", action="version", version=f"sifnode {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, help="TOML file (or SIFNODE_CONFIG)")
    answers = argparse.ArgumentParser(add_help=False, parents=[common])
    answers.add_argument("--json", action="store_true", help="answer as JSON")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="run the node")
    serve.add_argument("--ae-title", metavar="T")
    serve.add_argument("--port", metavar="N", help="DICOM port; 0 lets the system choose")
    serve.add_argument("--http-port", metavar="N", help="port of the health checks")
    serve.add_argument("--role", metavar="R", help="all, receiver or worker")
    serve.set_defaults(run=_serve)
    status = commands.add_parser("status", parents=[answers], help="what became of each study")
    status.add_argument("id", nargs="?", metavar="ID", help="Study Instance UID")
    status.set_defaults(run=_status)
    check = commands.add_parser("check", parents=[answers], help="try folder, ports, destinations")
    check.set_defaults(run=_check)
    echo = commands.add_parser("echo", parents=[answers], help="C-ECHO to a destination")
    echo.add_argument("name", metavar="NAME")
    echo.set_defaults(run=_echo)
    retry = commands.add_parser("retry", parents=[answers], help="have a report done again")
    retry.add_argument("id", metavar="ID", help="Study Instance UID or the name of a job")
    retry.set_defaults(run=_retry)
    _add_queue(commands, answers)
    _add_trials(commands, answers)
    stated = commands.add_parser("conformance", parents=[common], help="the conformance statement")
    stated.add_argument("--ihe", action="store_true", help="the IHE integration statement instead")
    stated.set_defaults(run=_conformance)
    return parser


def _add_queue(commands: Any, answers: argparse.ArgumentParser) -> None:
    queue = commands.add_parser("queue", help="the jobs")
    queues = queue.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = queues.add_parser("list", parents=[answers], help="jobs that wait, run or are dead")
    listing.set_defaults(run=_queue_list)
    actions = (
        ("show", _queue_show, "one job, its steps and its study"),
        ("recover", _retry, "as `sifnode retry`"),
        ("cancel", _queue_cancel, "give a job up"),
    )
    also = {"recover": ["retry"], "cancel": ["drop"]}
    for name, run, said in actions:
        action = queues.add_parser(name, aliases=also.get(name, []), parents=[answers], help=said)
        action.add_argument("id", metavar="ID", help="the name of a job")
        action.set_defaults(run=run)


def _add_trials(commands: Any, answers: argparse.ArgumentParser) -> None:
    test = commands.add_parser(
        "send-test", parents=[answers], help="send a study through the running node"
    )
    test.add_argument("folder", nargs="?", type=Path, help="images; a synthetic study without")
    test.add_argument("--seed", type=int, default=1, metavar="S", help="of the synthetic study")
    test.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    test.add_argument("--caller", default="SIFTEST", metavar="T", help="calling AE title")
    test.set_defaults(run=_send_test)
    again = commands.add_parser(
        "reanalyze", parents=[answers], help="have studies of the archive analysed again"
    )
    again.add_argument("--campaign", required=True, metavar="NAME")
    again.add_argument("--query", nargs="+", default=[], metavar="KEYWORD=VALUE")
    again.add_argument("--per-hour", type=_positive, default=30, metavar="N", help="at most")
    again.add_argument("--limit", type=int, default=10_000, metavar="N", help="studies this time")
    again.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="for each")
    again.set_defaults(run=_reanalyze)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
