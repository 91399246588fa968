"""Sequence items from keywords."""

from __future__ import annotations

from typing import Any

from pydicom import Dataset


def item(**attributes: Any) -> Dataset:
    """A sequence item with these attributes, by keyword; those that are None are left out."""
    made = Dataset()
    for keyword, value in attributes.items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def frame_type(first: Dataset) -> list[str]:
    """Image Type and Frame Type of a multi-frame, from a classic image (PS3.3 C.8.16.1)."""
    water = "WATER" in first.ImageType or "W" in first.ImageType
    return [first.ImageType[0], "PRIMARY", "VOLUME", "WATER" if water else "NONE"]
