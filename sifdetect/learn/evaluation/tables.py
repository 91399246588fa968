"""Figures in words and HTML tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Document = Mapping[str, Any]
"""JSON."""
NONE = "–"


def said(estimate: Document, *, digits: int = 2) -> str:
    """A figure with its interval, as 0.93 (0.88–0.97); a dash where it is not defined."""
    if estimate["value"] is None:
        return NONE
    value = f"{estimate['value']:.{digits}f}"
    if estimate["low"] is None:
        return f"{value} (no interval)"
    return f"{value} ({estimate['low']:.{digits}f}–{estimate['high']:.{digits}f})"


def counted(estimate: Document) -> str:
    """A proportion with its interval and the counts behind it."""
    if estimate["value"] is None:
        return NONE
    return f"{said(estimate)}, {round(estimate['value'] * estimate['n'])} of {estimate['n']}"


def in_words(name: str) -> str:
    """``sacral_ala_right`` as a reader has it."""
    return name.replace("_", " ").replace("l5", "L5")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row."""
    top = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def target_table(entries: Iterable[Document]) -> str:
    """What must be reached and what was, a row a target."""
    return table(
        ("", "target", "here", "cases it rests on", "verdict", "best known elsewhere"),
        (
            (
                one["name"],
                one["target"],
                said(one["reached"], digits=3),
                str(one["support"]),
                one["verdict"],
                one["elsewhere"] or NONE,
            )
            for one in entries
        ),
    )


def detection_table(groups: Iterable[Document]) -> str:
    """Sensitivity and the like, a row a group."""
    return table(
        ("", "cases", "AUC", "sensitivity", "specificity", "indeterminate", "no answer"),
        (
            (
                one["group"],
                f"{one['n']} ({one['fractured']} fractured, {one['unfractured']} not,"
                f" {one['truth_indeterminate']} undecidable)",
                said(one["auc"]),
                counted(one["sensitivity"]),
                counted(one["specificity"]),
                counted(one["indeterminate"]),
                counted(one["no_answer"]),
            )
            for one in groups
        ),
    )


def overlap_table(entries: Iterable[Document]) -> str:
    """Dice and distances, a row a structure."""
    return table(
        ("", "series", "Dice", "surface Dice, 2 mm", "HD95, mm", "nothing found"),
        (
            (
                in_words(one["name"]),
                str(one["dice"]["n"]),
                said(one["dice"]),
                said(one["surface_dice"]),
                said(one["hd95_mm"], digits=1),
                counted(one["not_found"]),
            )
            for one in entries
        ),
    )


def froc_table(entries: Iterable[Document]) -> str:
    """Sensitivity per lesion at one false mark a case, and where the bundle cuts."""
    rows = []
    for one in entries:
        bundle = one["at_bundle"]
        at = (NONE, NONE, NONE)
        if bundle is not None:
            at = (
                f"{bundle['threshold']:.2f}",
                said(bundle["sensitivity"]),
                said(bundle["false_per_case"]),
            )
        rows.append(
            (
                f"{in_words(one['lesion'])}, {one['modality']}",
                f"{one['instances']} in {one['cases']} cases",
                said(one["sensitivity_at_1"]),
                *at,
            )
        )
    return table(
        (
            "",
            "true lesions",
            "sensitivity at ≤ 1 false mark a case",
            "threshold of the bundle",
            "sensitivity there",
            "false marks a case there",
        ),
        rows,
    )


def agreement_table(agreement: Document) -> str:
    """Exact agreement and κ, a row a class."""
    shares = {
        "sides": "side",
        "Denis zone": "denis_zone",
        "Denis zone, right": "denis_right",
        "Denis zone, left": "denis_left",
    }
    rows = [(name, counted(agreement[key]), NONE) for name, key in shares.items()]
    classes = {
        "morphology": "morphology",
        "FFP": "ffp",
        "FFP, but for the ring where it was not examined": "ffp_examined",
    }
    for name, key in classes.items():
        pair = agreement[key]
        rows.append((name, counted(pair["agreed"]), said(pair["kappa"])))
    return table(("", "exact agreement", "Cohen's κ"), rows)


def reliability_table(bins: Iterable[Document]) -> str:
    """Ten bins of probability."""
    return table(
        ("probability", "cases", "mean probability", "share that is fractured"),
        (
            (
                f"{one['from']:.1f}–{one['from'] + 0.1:.1f}",
                str(one["n"]),
                NONE if one["mean_probability"] is None else f"{one['mean_probability']:.2f}",
                said(one["true"]),
            )
            for one in bins
        ),
    )


def calibration_table(calibration: Document) -> str:
    """Expected calibration errors: of the study, of parts of the cases, of voxels."""
    rows = [("probability of the study, all cases", *_error(calibration["ece"]))]
    rows += [
        (f"probability of the study, {one['by']} {one['group']}", *_error(one["ece"]))
        for one in calibration["groups"]
    ]
    rows += [
        (
            f"voxels of {one['modality']}, {in_words(one['lesion'])}, {one['region']}",
            *_error(one["ece"]),
        )
        for one in calibration["voxels"]
    ]
    return table(("", "expected calibration error", "cases"), rows)


def split_table(groups: Iterable[Document]) -> str:
    """The main figures, a row a group."""
    return table(
        (
            "",
            "cases (fractured)",
            "AUC",
            "sensitivity",
            "specificity",
            "indeterminate",
            "sacrum Dice",
            "line surface Dice",
            "edema Dice",
        ),
        (
            (
                one["group"],
                f"{one['n']} ({one['fractured']})",
                said(one["auc"]),
                said(one["sensitivity"]),
                said(one["specificity"]),
                said(one["indeterminate"]),
                said(one["sacrum_dice"]),
                said(one["line_surface_dice"]),
                said(one["edema_dice"]),
            )
            for one in groups
        ),
    )


def _error(estimate: Document) -> tuple[str, str]:
    return said(estimate, digits=3), str(estimate["n"])
