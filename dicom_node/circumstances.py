"""What the analysis of a report is told beside the images: what they lack, and an earlier study.

Kept in the folder of the report, so that a repeated analysis is told the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicom_node.durable import read_json, write_json

_FILE = "circumstances.json"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Told with the images of one report.

    Attributes:
        remarks: sentences for the result.
        prior: files or a folder of an earlier study; empty where there is none.
    """

    remarks: tuple[str, ...] = ()
    prior: tuple[Path, ...] = ()

    def keep(self, report: Path) -> None:
        """Write them into the folder of a report; paths as seen from its study's folder."""
        study = report.parent.parent
        prior = [str(one.relative_to(study)) for one in self.prior]
        document = {"remarks": list(self.remarks), "prior": prior}
        write_json(report / _FILE, document)


def circumstances_of(report: Path) -> Circumstances:
    """Those of the report in that folder; none where nothing was said."""
    known = read_json(report / _FILE) or {}
    return Circumstances(
        remarks=tuple(known.get("remarks", ())),
        prior=tuple(report.parent.parent / one for one in known.get("prior", ())),
    )


def withdraw_prior(report: Path, reason: str) -> bool:
    """Take the prior back because the analysis failed with it; False where there was none."""
    told = circumstances_of(report)
    if not told.prior:
        return False
    remark = f"The earlier study could not be compared with: {reason}"
    Circumstances(remarks=(*told.remarks, remark)).keep(report)
    return True
