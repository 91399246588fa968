"""The IHE integration statement for AI Results, from the same tables as the conformance statement.

sifnode conformance --ihe > docs/ihe-air.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dicom_node import send
from dicom_node.answers import SR_CLASSES
from dicom_node.config import Config
from dicom_node.document import Lines, listed, named, prose, table
from sifdetect import __version__
from sifdetect.dicom.objects_page import ObjectKind, object_kinds
from sifdetect.dicom.provenance import STATEMENT

_PRIMITIVES = (
    ("qualitative findings", ("sr", "data", "text")),
    ("measurements", ("sr", "data")),
    ("locations and regions: contours on source images", ("sr", "gsps")),
    ("segmentations", ("seg", "anatomy")),
    ("tracking identifiers, shared by report and segmentation", ("sr", "data", "seg")),
    ("a picture for displays without these", ("summary", "pdf")),
)
"""What a result can say, in the profile's words, and the objects that say it."""


_ASK = "`archive.destination`, `priors.enabled`"


def statement() -> str:
    """The page in Markdown."""
    return "\n".join(_lines(Config())) + "\n"


def _lines(config: Config) -> Lines:
    yield "# IHE integration statement: AI Results (AIR)"
    yield ""
    yield from prose("Made from the code by `sifnode conformance --ihe`; not edited by hand.")
    yield from prose(
        f"Product: sifdetect and its node `sifnode`, version {__version__}. {STATEMENT} This "
        "is what its authors say of it: it was tried at no Connectathon."
    )
    yield from table(
        ("profile", "actor", "options"),
        [
            (
                "IHE Radiology, AI Results (AIR), trial implementation",
                "Evidence Creator",
                "none named",
            )
        ],
    )
    yield "## Transactions"
    yield ""
    yield from table(("transaction", "how", "setting"), _transactions())
    yield from prose(
        "The numbers were compared with what others publish of these transactions, not with the "
        "text of the supplement."
    )
    yield from _beyond()
    yield from _contents(config)
    yield from _maker()


def _contents(config: Config) -> Lines:
    kinds = {kind.output: kind for kind in object_kinds()}
    yield "## What a result says, and in which object"
    yield ""
    yield from table(
        ("content", "objects", "by default"),
        [_primitive(name, outputs, kinds, config) for name, outputs in _PRIMITIVES],
    )
    yield from prose(
        "Measurement reports follow TID 1500; the contours a viewer draws are TID 1410 groups "
        "in `sr.dcm`, the groups that cite segments are TID 1411 in `sr-data.dcm`. Where "
        "nothing was found or nothing could be assessed the result is an "
        f"{listed([SR_CLASSES['enhanced'][0]])} that says so, and why. Parametric maps: none. "
        "Every result is preliminary and unverified."
    )


def _maker() -> Lines:
    yield "## Who made a result"
    yield ""
    yield from prose(
        "Contributing Equipment Sequence (0018,A001) has an item for each model, purpose "
        "109102 DCM, with the SHA-256 of its weights as Device Serial Number and a Device UID "
        "of its own: another set of weights is another device. The observer of the reports is "
        "that device (TID 1004)."
    )
    yield from prose(
        "Details: [conformance](conformance.md), [the tree of the reports](sr-template.md)."
    )


def _transactions() -> Iterable[Sequence[str]]:
    store = "C-STORE to each destination, as SCU"
    yield "Creator Images Stored [RAD-18]", f"{store}: summary, segmentation", "`objects`"
    yield "Evidence Document Stored [RAD-43]", f"{store}: SR", "`objects`"
    yield "Storage Commitment [RAD-10]", f"{named(send.COMMITMENT)[0]}, as SCU", "`commit`"


def _beyond() -> Lines:
    """What the node does that a reader may look for above, and that it claims for no profile."""
    yield "## Done, and claimed for no transaction"
    yield ""
    others = "presentation states and encapsulated PDF, where `objects` asks for them"
    rows = (
        (f"C-STORE of {others}, as SCU", "`objects`"),
        ("STOW-RS (PS3.18 10.5), as client: every kind of result; no storage commitment", "`url`"),
        (
            "C-FIND with C-GET or C-MOVE, as SCU: an earlier study, how many images to wait for",
            _ASK,
        ),
        ("QIDO-RS and WADO-RS (PS3.18 10.6, 10.4), as client: the same", f"`url`, {_ASK}"),
        ("C-STORE, as SCP: the studies to analyse", "`dicom`"),
        ("STOW-RS, as origin server: the same", "`http.token_file`, `http.client_ca`"),
    )
    yield from table(("what", "setting"), rows)
    yield from prose(
        "IHE has transactions for most of these in other profiles (Web-based Image Capture stores "
        "by STOW-RS). Their numbers and the text of AIR on them were not at hand to compare with."
    )


def _primitive(
    name: str, outputs: Sequence[str], kinds: dict[str, ObjectKind], config: Config
) -> tuple[str, str, str]:
    objects = [f"`{kinds[one].file}` ({named(kinds[one].sop_class_uid)[0]})" for one in outputs]
    shipped = sorted(set(outputs) & set(config.analysis.outputs))
    return name, ", ".join(objects), ", ".join(f"`{one}`" for one in shipped) or "no"
