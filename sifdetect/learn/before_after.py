"""Dice of a bundle on samples that it was not trained on, before and after training it further."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sifdetect.anatomy import LesionBit, LocalizerClass, Modality, RegionClass
from sifdetect.bundle import BundleSpec, Task, normalised, read_spec, verify
from sifdetect.engine import Engine, Network, as_used, load_network
from sifdetect.errors import ConfigurationError
from sifdetect.learn.augment import known_of
from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import CLASS_KNOWN, DATA_KNOWN, Pool, Rendered
from sifdetect.learn.release import read_checkpoint, trained_network
from sifdetect.segment import coordinates

Scores = dict[str, float]
"""Dice by structure of one sample; what is neither there nor found, or not annotated, is absent."""
Document = dict[str, Any]

RESAMPLES, SEED = 2000, 20240229


class Verdict(Enum):
    """What a comparison says; the value is the report's sentence."""

    BETTER = "better: the interval of the difference lies above zero"
    UNSURE = "not shown to be better: the interval of the difference holds zero; more cases decide"
    NOT_BETTER = "not better: keep the old one"


def write_before_after(config: TrainConfig, held_out: Sequence[Path], out: Path) -> str:
    """Compare the bundle that a run started from with what it became; gives the report's text.

    Writes ``report.json`` and ``report.md`` to ``out``.
    """
    spec = config.spec
    plain = read_spec(Path(config.start))
    before = as_used(load_network(Path(config.start), plain, engine=Engine.TORCH), plain)
    after = trained_network(config, read_checkpoint(Path(config.out)))
    scores = [[scores_of(load(path), spec, one) for path in held_out] for one in (before, after)]
    document = compared(*scores)
    document["bundle"] = {"name": spec.name, "version": spec.version, "sha256": spec.sha256}
    document["held_out"] = [path.name for path in held_out]
    document["trained_on"] = len(Pool(Path(config.pool)).names()) - len(held_out)
    document["mixed_with"] = {"pool": Path(config.mix).name, "share": config.share}
    document["steps"], document["seed"] = config.steps, config.seed
    text = report(document, mixed=bool(config.mix))
    _write(out / "report.json", json.dumps(document, indent=1) + "\n")
    _write(out / "report.md", text)
    return text


def write_scores(bundle: Path, pool: Path, out: Path) -> Document:
    """Dice of a bundle on a whole pool, with intervals, as ``evaluation.json`` in ``out``.

    What ``configs/evaluate.json`` of a bundle runs.

    Raises:
        ConfigurationError: the pool is empty. ModelError: the bundle cannot be read.
    """
    spec = verify(bundle)
    network = as_used(load_network(bundle, spec, engine=Engine.TORCH), spec)
    names = Pool(pool).names()
    if not names:
        raise ConfigurationError(f"The pool {pool} holds no sample", hint="Name another one")
    scores = [scores_of(load(path), spec, network) for path in names]
    dice = {name: interval([s[name] for s in scores if name in s]) for name in _named(scores)}
    document: Document = {"bundle": spec.name, "sha256": spec.sha256, "dice": dice}
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "evaluation.json", json.dumps(document, indent=1) + "\n")
    return document


def load(path: Path) -> Rendered:
    """A sample of a pool."""
    with np.load(path) as stored:
        return dict(stored.items())


def scores_of(sample: Rendered, spec: BundleSpec, network: Network) -> Scores:
    """Dice of every structure that the sample or the network has, where it is known."""
    region = spec.task is Task.REGION
    classes = np.asarray(sample["region" if region else "classes"])
    knowledge = known_of(sample, classes)
    known = np.full(classes.shape, 255, np.uint8) if knowledge is None else knowledge[0]
    shape = classes.shape
    output = network(_channels(sample, spec, (known & DATA_KNOWN) > 0))[:, : shape[0]]
    output = output[:, :, : shape[1], : shape[2]]
    kinds: type[Enum] = RegionClass if region else LocalizerClass
    found, where = output[: len(kinds)].argmax(axis=0), (known & CLASS_KNOWN) > 0
    scores: dict[str, float | None] = {
        one.name.lower(): _dice((found == one.value) & where, (classes == one.value) & where)
        for one in kinds
        if one.value
    }
    if region:
        start = len(RegionClass)
        bits = np.asarray(sample["lesions"])
        for number, lesion in enumerate(LesionBit):
            if lesion is LesionBit.EDEMA and spec.modality is Modality.CT:
                continue
            where = (known & lesion.value) > 0
            limit = np.log(spec.threshold[number] / (1 - spec.threshold[number]))
            said = output[start + number] / spec.temperature[number] >= limit
            truth = (bits & lesion.value) > 0
            scores[str(lesion.name).lower()] = _dice(said & where, truth & where)
    return {name: value for name, value in scores.items() if value is not None}


def compared(before: Sequence[Scores], after: Sequence[Scores]) -> Document:
    """Both, by structure and over all of them, and the differences case by case."""
    rows = {}
    for name in _named([*before, *after]):
        pairs = [
            (one.get(name, 1.0), other.get(name, 1.0))
            for one, other in zip(before, after, strict=True)
            if name in one or name in other
        ]
        rows[name] = _row(pairs)
    means = [
        (_mean(one, {*one, *other}), _mean(other, {*one, *other}))
        for one, other in zip(before, after, strict=True)
        if one or other
    ]
    overall = _row(means)
    return {"structures": rows, "overall": overall, "verdict": _verdict(overall).name.lower()}


def interval(values: Sequence[float]) -> Document:
    """Mean with its 95 % percentile bootstrap interval over cases (Efron and Tibshirani 1993);
    without an interval where there is but one case."""
    array = np.asarray(values, dtype=np.float64)
    low = high = None
    if len(array) > 1:
        ends = stats.bootstrap(
            (array,),
            np.mean,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        low, high = round(float(ends.low), 4), round(float(ends.high), 4)
    value = round(float(array.mean()), 4) if len(array) else None
    return {"value": value, "low": low, "high": high, "n": len(array)}


def report(document: Document, *, mixed: bool) -> str:
    """The comparison as Markdown."""
    verdict = Verdict[document["verdict"].upper()]
    rows = [("**all**", document["overall"]), *document["structures"].items()]
    body = "\n".join(
        f"| {name} | {row['before']['n']} | "
        + " | ".join(_shown(row[key]) for key in ("before", "after", "difference"))
        + " |"
        for name, row in rows
    )
    mix = document["mixed_with"]
    also = f", mixed with the pool {mix['pool']} (share {mix['share']:g})" if mixed else ""
    return f"""\
# {document["bundle"]["name"]} before and after fine-tuning

**{verdict.value.capitalize()}.**

Trained for {document["steps"]} steps on {document["trained_on"]} samples{also}; compared on
{len(document["held_out"])} samples of patients that were held out.

| Dice (95 % interval) | cases | before | after | difference |
|---|---|---|---|---|
{body}

Means over cases, percentile bootstrap over cases. A structure counts in a case that has it or where
one of the two found it; *all* is the mean over a case's structures. With few cases the intervals
are wide, and bootstrap ones too narrow. Thresholds of lesions are those of the bundle before.
"""


def _verdict(overall: Document) -> Verdict:
    change = overall["difference"]
    if change["value"] is None or change["value"] <= 0:
        return Verdict.NOT_BETTER
    return Verdict.BETTER if (change["low"] or 0) > 0 else Verdict.UNSURE


def _row(pairs: Sequence[tuple[float, float]]) -> Document:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    change = [b - a for a, b in pairs]
    return {
        "before": interval(before),
        "after": interval(after),
        "difference": interval(change),
    }


def _mean(scores: Scores, names: set[str]) -> float:
    return float(np.mean([scores.get(name, 1.0) for name in names]))


def _named(scores: Sequence[Scores]) -> list[str]:
    order = [
        str(one.name).lower() for kind in (RegionClass, LocalizerClass, LesionBit) for one in kind
    ]
    there = {name for one in scores for name in one}
    return [name for name in dict.fromkeys(order) if name in there]


def _dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    size = int(found.sum()) + int(truth.sum())
    return None if size == 0 else 2 * int((found & truth).sum()) / size


def _channels(
    sample: Rendered, spec: BundleSpec, in_view: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """A sample as the network sees it in use, padded to what it takes."""
    names = ("ct",) if spec.modality is Modality.CT else ("fluid0", "anatomical0")
    arrays = [np.asarray(sample[name], dtype=np.float32) for name in names]
    if spec.task is Task.LOCALIZER:
        arrays = [next((array for array in arrays if array.any()), arrays[0])]
    images = [normalised(a, in_view, spec.intensity) if a.any() else a for a in arrays]
    if spec.task is Task.REGION:
        return np.concatenate([np.stack(images), coordinates(spec)])
    empty = normalised(arrays[0], np.zeros_like(in_view), spec.intensity).min()
    room = [(0, -n % spec.multiple) for n in images[0].shape]
    return np.pad(images[0], room, constant_values=float(empty))[None]


def _shown(figure: Document) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
