"""Synthetic pelves: sample parameters, then render them; no real person's data."""
