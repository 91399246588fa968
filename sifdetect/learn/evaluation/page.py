"""The report that a reader opens: one HTML page that holds all it needs."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

from sifdetect.anatomy import Modality
from sifdetect.learn.evaluation import tables
from sifdetect.learn.evaluation.charts import Axes, Curve, chart
from sifdetect.learn.evaluation.reached import FEWEST, MISSED, OPEN, REACHED
from sifdetect.learn.evaluation.worst import KINDS

Document = Mapping[str, Any]
"""JSON."""
FALSE_MARKS_SHOWN = 4.0

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;margin:0 auto;
max-width:1180px;padding:20px}
h1{font-size:25px;margin:0 0 4px}h2{font-size:19px;margin:34px 0 4px;border-top:1px solid #d5dae0;
padding-top:14px}h3{font-size:15px;margin:18px 0 4px}p{max-width:82ch;margin:5px 0 9px}
table{border-collapse:collapse;font-size:13px;margin:6px 0 12px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px;border-bottom:1px solid #e4e8ec;text-align:left;white-space:nowrap}
thead th{background:#f3f5f7;white-space:normal;vertical-align:bottom}tbody th{font-weight:500}
.wide{overflow-x:auto}.row{display:flex;flex-wrap:wrap;gap:18px;align-items:flex-start}
figure{margin:10px 0 16px}figcaption{font-size:13px;margin-bottom:3px}figure img{max-width:100%;
background:#000}code{font-size:12px;overflow-wrap:anywhere}.note{color:#57606a;font-size:13px}
.true{color:#0077a8;font-weight:600}.found{color:#b85c00;font-weight:600}
"""


def page(document: Document, pictures: Mapping[tuple[str, str], bytes]) -> str:
    """The report of an evaluation.

    Args:
        document: as ``figures.figures`` makes it.
        pictures: PNG by kind and case name.
    """
    sections = (
        _head(document["head"]),
        _targets(document),
        _study(document),
        _splits(document),
        _outlines(document),
        _frocs(document),
        _agreement(document),
        _calibration(document),
        _failure(document),
        _worst(document, pictures),
        _failed(document),
        _limits(document),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>sifdetect evaluation</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def _head(head: Document) -> str:
    profiles = ", ".join(f"{name} ({count})" for name, count in head["profiles"].items())
    seeds = head["seeds"]
    facts = {
        "cases": f"{head['cases']}, of them {head['shifted']} unlike those of training",
        "seeds": f"{seeds['first']} to {seeds['last']} ({seeds['n']})" if seeds else tables.NONE,
        "profiles": profiles,
        "truth by": ", ".join(head["truth_by"]),
        **{key: str(value) for key, value in head["made"].items()},
    }
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td><code>{escape(value)}</code></td></tr>"
        for key, value in facts.items()
    )
    bundles = tables.table(
        ("bundle", "version", "SHA-256 of the weights", "states a fracture from", "calibrated on"),
        (
            (
                one["name"],
                one["version"],
                one["sha256"],
                tables.NONE if one["decision"] is None else f"p ≥ {one['decision']:.3f}",
                _calibrated(one),
            )
            for one in head["bundles"]
        ),
    )
    return (
        "<h1>How well sifdetect does</h1>"
        "<p>Every case was analysed as <code>sifdetect analyze</code> does it, and compared with"
        " its truth. Brackets hold 95 % intervals: Wilson's for plain proportions, else"
        f" {head['intervals']['resamples']} bootstrap samples of the cases. Research use only.</p>"
        f"<table><tbody>{rows}</tbody></table>{bundles}"
    )


def _targets(document: Document) -> str:
    held = document["targets"]
    count = Counter(one["verdict"] for one in held)
    told = ", ".join(f"{count[one]} {one}" for one in (REACHED, MISSED, OPEN))
    return (
        f"<h2>What had to be reached</h2><p>{told}. Reached and missed mean that the whole"
        " interval lies on that side of the target; else, and on fewer than"
        f" {FEWEST} cases (of an AUC: of the rarer kind), it cannot be said. A drop is the figure"
        " on cases like those of training less that on shifted ones. Targets were set before"
        " anything was measured.</p>"
        f"{tables.target_table(held)}"
    )


def _calibrated(bundle: Document) -> str:
    if bundle["decision"] is None:
        return tables.NONE
    cases = bundle["calibration_cases"]
    return "not said" if cases is None else f"{cases:g} other cases"


def _study(document: Document) -> str:
    curves = [Curve("all thresholds", [(x, y) for x, y in document["roc"]])]
    sensitivity, specificity = (
        document["study"][0][name]["value"] for name in ("sensitivity", "specificity")
    )
    if sensitivity is not None and specificity is not None:
        at = (1 - specificity, sensitivity)
        curves.append(Curve("operating point of the bundles", [at], dots=True))
    axes = Axes("ROC, all cases", "1 - specificity", "sensitivity", diagonal=True)
    return (
        "<h2>Is there a fracture?</h2><p>The operating point comes from the bundles, where it was"
        " chosen on calibration cases; nothing was tuned on the cases below. An indeterminate"
        " answer counts as none stated. A fractured case without an answer counts as missed; an"
        " unfractured one is left out. Cases that even a perfect reader could not decide (healed,"
        " or out of view) are left out of AUC, sensitivity and specificity.</p>"
        f"{tables.detection_table(document['study'])}"
        f"{chart(axes, curves) if document['roc'] else ''}"
    )


def _splits(document: Document) -> str:
    parts = [
        "<h2>The same, by kind of case</h2><p>By modality, sequence and slices a case"
        " belongs to the series that its findings rest on, and outlines to each series by itself."
        " Small groups say little: look at the intervals, and where all cases agree, at the"
        " number of cases, since a bootstrap interval then has no width.</p>"
    ]
    for by, held in groupby(document["splits"], key=lambda one: one["by"]):
        parts.append(f"<h3>{escape(by)}</h3>{tables.split_table(held)}")
    return "".join(parts)


def _outlines(document: Document) -> str:
    parts = [
        "<h2>Outlines</h2><p>Means over series, where the truth holds the structure or at least"
        " the volume of lesion that would be called a finding. Surface Dice is the share of both"
        " surfaces within 2 mm of each other. HD95 leaves out series on which nothing was found;"
        " the last column counts those on which nothing fits. L5, hips and lesions are compared"
        " within 15 mm of the sacrum. Edema counts where a fluid-sensitive series was read.</p>"
    ]
    for modality in Modality:
        for kind in ("anatomy", "lesion"):
            held = [
                one
                for one in document["overlap"]
                if (one["modality"], one["kind"]) == (modality.value, kind)
            ]
            if held:
                parts.append(f"<h3>{modality.value}, {kind}</h3>{tables.overlap_table(held)}")
    return "".join(parts)


def _frocs(document: Document) -> str:
    curves = [
        Curve(f"{tables.in_words(one['lesion'])}, {one['modality']}", _froc_points(one), dots=True)
        for one in document["froc"]
    ]
    axes = Axes("FROC", "false marks a case", "sensitivity per lesion", x_to=FALSE_MARKS_SHOWN)
    return (
        "<h2>Lesion by lesion</h2><p>A true lesion is the fracture of one side or of the midline;"
        " it is found where a mark comes within two voxels (3 mm) of it. A mark near no lesion at"
        " all is false. Each point is a threshold of the lesion map, from 0.05 to 0.95.</p>"
        f"{tables.froc_table(document['froc'])}"
        f"{chart(axes, [one for one in curves if one.points])}"
    )


def _froc_points(entry: Document) -> list[tuple[float, float]]:
    found = [
        (one["false_per_case"], one["sensitivity"])
        for one in entry["curve"]
        if one["sensitivity"] is not None
    ]
    return found[::-1]


def _agreement(document: Document) -> str:
    held = document["agreement"]
    return (
        "<h2>Side, zone and pattern</h2><p>Cases with a fracture"
        f" that was stated: {held['stated_and_true']}. Each row rests on those of them for which"
        f" truth and answer both give a class.</p>{tables.agreement_table(held)}"
    )


def _calibration(document: Document) -> str:
    held = document["calibration"]
    points = [(one["mean_probability"], one["true"]["value"]) for one in held["bins"] if one["n"]]
    axes = Axes("Reliability", "mean probability", "share fractured", diagonal=True)
    return (
        "<h2>Can the probability be believed?</h2><p>On the dashed line a probability of 0.8"
        " means that 8 of 10 such cases are fractured. The expected calibration error is the mean"
        " distance from it. Voxels: a lesion's probability inside the outlined sacrum.</p>"
        f'<div class="row">{chart(axes, [Curve("cases", points, dots=True)])}'
        f"<div>{tables.reliability_table(held['bins'])}</div></div>"
        f"{tables.calibration_table(held)}"
    )


def _failure(document: Document) -> str:
    held = document["failure"]
    axes = Axes("Risk–coverage", "share of cases answered", "share of these that is wrong")
    rows = (
        ("answers that are wrong", tables.counted(held["wrong"])),
        ("AUROC of low confidence for being wrong", tables.said(held["auroc"])),
        ("area under risk–coverage", tables.said(held["aurc"], digits=3)),
    )
    return (
        "<h2>Does it know when it is wrong?</h2><p>Confidence is the probability of what was said,"
        " and 0 where the answer is indeterminate. A good curve stays at 0 until most cases are"
        " answered.</p>"
        f'<div class="row">{chart(axes, [Curve("risk", held["curve"])])}'
        f"<div>{tables.table(('', 'value'), rows)}</div></div>"
    )


def _worst(document: Document, pictures: Mapping[tuple[str, str], bytes]) -> str:
    parts = [
        '<h2>Worst cases</h2><p>Outlines: <span class="true">blue is true</span>,'
        ' <span class="found">orange was found</span>; thin the sacrum, thick fracture lines and'
        " edema. R is the patient's right, A anterior.</p>"
    ]
    for kind in KINDS:
        held = document["worst"][kind.name]
        parts.append(f"<h3>{escape(kind.title)}</h3>")
        parts += [_figure(one, pictures.get((kind.name, one["case"]))) for one in held]
        if not held:
            parts.append("<p>None.</p>")
    return "".join(parts)


def _figure(entry: Document, picture: bytes | None) -> str:
    said = f"<figcaption>{escape(entry['case'])}: {escape(entry['why'])}</figcaption>"
    if picture is None:
        return f"<figure>{said}</figure>"
    data = base64.b64encode(picture).decode("ascii")
    alt = escape(f"{entry['case']} in three planes", quote=True)
    return f'<figure>{said}<img alt="{alt}" src="data:image/png;base64,{data}"></figure>'


def _failed(document: Document) -> str:
    held = document["failed"]
    if not held:
        return "<h2>Cases without an answer</h2><p>None.</p>"
    rows = ((one["case"], one["reason"]) for one in held)
    return f"<h2>Cases without an answer</h2>{tables.table(('case', 'reason'), rows)}"


def _limits(document: Document) -> str:
    synthetic = any("synth" in name for name in document["head"]["truth_by"])
    said = (
        "The cases are synthetic, made by the generator that also made the cases for training."
        " Their figures say how well the networks learnt that, and not how well they do on"
        " patients."
        if synthetic
        else "The figures hold for cases like these alone."
    )
    return (
        f"<h2>What this does not show</h2><p>{said} Sensitivity and specificity depend on the mix"
        " of stages, patterns and mimics, which is flatter here than in a clinic; no prevalence is"
        " implied. No reader saw these cases.</p>"
    )
