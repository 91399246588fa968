"""Plain values (from TOML or from text) made into frozen dataclasses, with refusals that help.

A section is a dataclass; ``field(metadata=…)`` may hold ``pattern`` (of text, or of each text in a
tuple), ``low`` and ``high`` (of numbers) and ``name`` (pattern of the keys of a table of tables).
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Any

from sifdetect.errors import ConfigurationError


def text(default: str, pattern: str) -> Any:
    """A key that holds text of a pattern."""
    return field(default=default, metadata={"pattern": pattern})


def number(default: float, low: float, high: float) -> Any:
    """A key that holds a number from ``low`` to ``high``."""
    return field(default=default, metadata={"low": low, "high": high})


def texts(default: tuple[str, ...], pattern: str) -> Any:
    """A key that holds a list of texts, each of a pattern."""
    return field(default=default, metadata={"pattern": pattern})


def build(kind: Any, document: Any, *, where: str) -> object:
    """A ``kind`` (a dataclass) from a table of plain values.

    Raises:
        ConfigurationError: a key is unknown, or a value is not of its type or out of range;
            ``where`` begins the sentence.
    """
    if not isinstance(document, dict):
        raise ConfigurationError(f"{where} should be a table of keys, not {document!r}")
    hints = typing.get_type_hints(kind)
    for key in document:
        if key not in hints:
            raise _unknown(key, hints, where)
    values = {
        f.name: _value(document[f.name], hints[f.name], f.metadata, where=f"{where}: {f.name}")
        for f in fields(kind)
        if f.name in document
    }
    return typing.cast(object, kind(**values))


def kind_of(whole: Any, path: tuple[str, ...], *, where: str) -> Any:
    """The type of the key at ``path`` below the dataclass ``whole``.

    Raises:
        ConfigurationError: there is no such key; the nearest valid one is named.
    """
    section, *rest = path
    kind = typing.get_type_hints(whole).get(section)
    if _is_table_of_tables(kind) and len(rest) == 2:
        kind, rest = typing.get_args(kind)[1], rest[1:]
    hints = typing.get_type_hints(kind) if is_dataclass(kind) else {}
    if len(rest) != 1 or rest[0] not in hints:
        raise _unknown(".".join(path), keys_of(whole), where)
    return hints[rest[0]]


def keys_of(whole: Any) -> list[str]:
    """Every key as ``section.key``; a table of tables stands as ``section.NAME.key``."""
    keys = []
    for section, kind in typing.get_type_hints(whole).items():
        nested = _is_table_of_tables(kind)
        inner = typing.get_args(kind)[1] if nested else kind
        keys += [f"{section}{'.NAME' if nested else ''}.{f.name}" for f in fields(inner)]
    return keys


def from_text(text: str, kind: Any, *, where: str) -> Any:
    """``text`` as the plain value that ``kind`` asks for; tuples are separated by commas.

    Raises:
        ConfigurationError: the text does not spell such a value.
    """
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
    except (KeyError, ValueError) as error:
        raise _mistyped(text, kind, where) from error
    if typing.get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _value(value: Any, kind: Any, metadata: Mapping[str, Any], *, where: str) -> Any:
    if is_dataclass(kind):
        return build(kind, value, where=where)
    if _is_table_of_tables(kind):
        return _tables(value, typing.get_args(kind)[1], metadata["name"], where=where)
    if kind is Path:
        return Path(_typed(value, str, where)).expanduser()
    if typing.get_origin(kind) is tuple:
        items = _typed(value, list, where)
        return tuple(_value(item, str, metadata, where=where) for item in items)
    if kind is float and type(value) is int:
        value = float(value)
    return _in_range(_typed(value, kind, where), metadata, where)


def _is_table_of_tables(kind: Any) -> bool:
    return typing.get_origin(kind) is dict


def _tables(value: Any, kind: Any, pattern: str, *, where: str) -> dict[str, object]:
    tables = _typed(value, dict, where)
    for name in tables:
        if not re.fullmatch(pattern, name):
            raise ConfigurationError(
                f"{where}: {name!r} is no valid name",
                hint="Use letters, digits and hyphens, at most 32",
            )
    return {name: build(kind, table, where=f"{where}.{name}") for name, table in tables.items()}


def _typed(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise _mistyped(value, kind, where)
    return value


def _in_range(value: Any, metadata: Mapping[str, Any], where: str) -> Any:
    pattern = metadata.get("pattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise ConfigurationError(f"{where} is {value!r}, which is not allowed there")
    low, high = metadata.get("low", value), metadata.get("high", value)
    if not low <= value <= high:
        raise ConfigurationError(f"{where} is {value}, outside {low} to {high}")
    return value


def _mistyped(value: Any, kind: Any, where: str) -> ConfigurationError:
    spelt = {int: "whole number", float: "number", bool: "true or false", str: "text", list: "list"}
    return ConfigurationError(f"{where} is {value!r}, which is no {spelt.get(kind, 'table')}")


def _unknown(key: str, known: Iterable[str], where: str) -> ConfigurationError:
    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return ConfigurationError(
        f"{where} holds the unknown key {key!r}", hint=f"The nearest valid one is {nearest[0]!r}"
    )
