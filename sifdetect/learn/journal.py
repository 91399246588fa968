"""What a training run says while it runs: JSON lines, TensorBoard, and a bar on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sifdetect.errors import ConfigurationError

Row = dict[str, Any]

LOG, TENSORBOARD = "log.jsonl", "tensorboard"


class Journal:
    """The history of one run, in its folder.

    Args:
        folder: of the run.
        writes: False in all processes but one of those that train together.

    Raises:
        ConfigurationError: the packages for it are not installed.
    """

    def __init__(self, folder: Path, *, writes: bool) -> None:
        self.rows: list[Row] = []
        self._folder, self._writes = folder, writes
        self._bar: Any = None
        self._board: Any = None

    def restore(self, rows: list[Row]) -> None:
        """Go on from a checkpoint: what was written after it is taken back."""
        self.rows = list(rows)
        if self._writes:
            part = self._folder / f"{LOG}.part"
            part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            part.replace(self._folder / LOG)

    def begin(self, step: int, of: int) -> None:
        """Open the scalars and the bar, which only a terminal gets to see."""
        if not self._writes:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # slow to import
            from tqdm import tqdm  # noqa: PLC0415  # of the extra "train"
        except ImportError as error:
            raise ConfigurationError(
                f"Training needs a package that is not installed ({error.name})",
                hint="Install sifdetect[train]",
            ) from error
        where = str(self._folder / TENSORBOARD)
        self._board = SummaryWriter(where, purge_step=step + 1)
        self._bar = tqdm(total=of, initial=step, unit="step", disable=None)

    def tick(self, loss: float) -> None:
        """One step is done."""
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def write(self, row: Row) -> None:
        """One row; its numbers become scalars at its ``step``."""
        self.rows.append(row)
        if not self._writes:
            return
        with (self._folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name in row.keys() - {"step"}:
                self._board.add_scalar(name, row[name], row["step"])

    def end(self) -> None:
        """Close what ``begin`` opened."""
        if self._board is not None:
            self._board.close()
            self._bar.close()
        self._board = self._bar = None
