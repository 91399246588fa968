"""Questions to an archive: what does a study hold, which studies are there? C-FIND or QIDO-RS.

Source: PS3.4 C.4.1 and C.6.2 (Study Root), PS3.18 10.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicom_node.completeness import Counted
from dicom_node.config import Destination, DicomConfig
from dicom_node.intake import is_valid_uid
from dicom_node.keyring import Keyring
from dicom_node.send import associated, entity_for
from dicom_node.tls import web_context
from sifdetect.errors import NetworkError

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model - FIND."""
STUDY_KEYS = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "ModalitiesInStudy"),
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "AccessionNumber"),
    *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
)
"""Asked for at the level STUDY."""
SERIES_KEYS = (
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "BodyPartExamined"),
    *("Manufacturer", "NumberOfSeriesRelatedInstances"),
)
"""Asked for at the level SERIES."""
PENDING = (0xFF00, 0xFF01)
_MOST_ANSWERS = 10_000
_MOST_BYTES = 64 << 20


class Archive:
    """One destination as it is asked; each question opens an association of its own.

    Args:
        door: the node's own side: where C-MOVE has images sent, over TLS where the node speaks it.
        keys: those of that side; without them their files are read for each retrieval.
    """

    def __init__(
        self,
        peer: Destination,
        *,
        own_title: str,
        timeout_seconds: float,
        door: DicomConfig,
        keys: Keyring | None = None,
    ) -> None:
        self.door, self.keys = door, keys
        self.peer = peer
        self.own_title = own_title
        self.timeout_seconds = timeout_seconds

    def series(self, study_instance_uid: str) -> list[Dataset]:
        """The series of one study, with ``SERIES_KEYS`` as far as the archive knows them.

        Raises:
            NetworkError: it does not answer, or refuses.
        """
        match = {"StudyInstanceUID": study_instance_uid}
        return [
            one
            for one in self._ask("SERIES", match, SERIES_KEYS)
            if is_valid_uid(str(one.get("SeriesInstanceUID") or ""))
        ]

    def counts(self, study_instance_uid: str) -> dict[str, Counted] | None:
        """What each series of a study holds; None where the archive has no word of the study.

        Raises:
            NetworkError: it does not answer, or refuses.
        """
        counted = {
            str(one.SeriesInstanceUID): Counted(
                number=str(one.get("SeriesNumber") or "without number"),
                modality=str(one.get("Modality") or ""),
                instances=number_in(one, "NumberOfSeriesRelatedInstances"),
            )
            for one in self.series(study_instance_uid)
        }
        return {uid: one for uid, one in counted.items() if one.instances} or None

    def studies(self, match: Mapping[str, str]) -> list[Dataset]:
        """The studies that match, with ``STUDY_KEYS``; each has a valid Study Instance UID.

        Raises:
            NetworkError: the archive does not answer, or refuses.
        """
        found = self._ask("STUDY", match, STUDY_KEYS)
        return [one for one in found if is_valid_uid(str(one.get("StudyInstanceUID") or ""))]

    def _ask(self, level: str, match: Mapping[str, str], keys: tuple[str, ...]) -> list[Dataset]:
        if self.peer.url:
            return list(self._by_web(level, match, keys))
        query = Dataset()
        query.QueryRetrieveLevel = level
        for keyword in keys:
            setattr(query, keyword, "")
        for keyword, value in match.items():
            setattr(query, keyword, value)
        entity = entity_for(self.peer, self.own_title, self.timeout_seconds)
        entity.add_requested_context(FIND)
        found: list[Dataset] = []
        with associated(entity, self.peer) as association:
            for status, answer in association.send_c_find(query, FIND):
                code = status.get("Status")
                if code in PENDING and answer is not None and len(found) < _MOST_ANSWERS:
                    found.append(answer)
                elif code != 0x0000 and code not in PENDING:
                    told = "no answer" if code is None else f"0x{code:04X}"
                    raise NetworkError(f"{self.peer.ae_title} refused a query: {told}")
        return found

    def _by_web(
        self, level: str, match: Mapping[str, str], keys: tuple[str, ...]
    ) -> Iterator[Dataset]:
        base = self.peer.url.rstrip("/") + "/studies"
        wanted = dict(match)
        if level == "SERIES":
            base += f"/{wanted.pop('StudyInstanceUID')}/series"
        included = [("includefield", f"{tag_for_keyword(keyword):08X}") for keyword in keys]
        query = urlencode([*wanted.items(), *included, ("limit", str(_MOST_ANSWERS))])
        body = self.fetch(f"{base}?{query}", "application/dicom+json")
        try:
            documents = json.loads(body or b"[]")
            yield from (Dataset.from_json(one) for one in documents)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NetworkError(f"{self.peer.url} answered with no DICOM JSON") from error

    def fetch(self, url: str, accept: str) -> bytes:
        """What a web service answers; empty where it says that there is nothing.

        Raises:
            NetworkError: it does not answer, or with an error.
        """
        with self.opened(url, accept) as answer:
            return bytes(answer.read(_MOST_BYTES))

    def opened(self, url: str, accept: str) -> Any:
        """The open answer of a web service.

        Raises:
            NetworkError: it does not answer, or with an error.
        """
        request = Request(url)
        request.add_header("Accept", accept)
        if self.peer.authorization:
            request.add_unredirected_header("Authorization", self.peer.authorization)
        try:
            context = web_context(self.peer, self.peer.url)
            return urlopen(request, timeout=self.timeout_seconds, context=context)
        except HTTPError as error:
            raise NetworkError(f"{self.peer.url} answered with HTTP status {error.code}") from error
        except (URLError, HTTPException, OSError) as error:
            raise NetworkError(f"{self.peer.url} could not be reached") from error


def number_in(dataset: Dataset, keyword: str) -> int:
    """A number that an archive may leave out; 0 where it does."""
    text = str(dataset.get(keyword) or "")
    return int(text) if text.isdigit() else 0
