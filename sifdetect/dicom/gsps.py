"""Grayscale Softcopy Presentation State: every finding's outline on every slice that shows it.

For viewers that draw neither segmentations nor report coordinates. Outlines are monochrome there;
what a finding is called stands beside it on the slice of its largest area.
"""

from __future__ import annotations

import numpy as np
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from highdicom.pr import GraphicTypeValues as Graphic
from pydicom import Dataset

from sifdetect.dicom import words
from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.outline import (
    SliceImage,
    largest_slice,
    numbers_in,
    outline_of,
    shown,
    slice_images,
)
from sifdetect.dicom.provenance import (
    STATEMENT,
    described,
    equipment,
    finish,
    header_of,
    moment_of,
    nameless,
)
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.rescale import modality_lut
from sifdetect.dicom.seg import tracking_uid
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels
from sifdetect.volume import Floats

SERIES_NUMBER = 9805
_LAYER = GraphicLayer(layer_name="SIF", order=1, description="SIF-like findings, research use only")


@without_collecting()
def encode_gsps(findings: StudyFindings, labels: SeriesLabels, series: DicomSeries) -> Dataset:
    """Outlines of the findings of one series as a presentation state on its images.

    Args:
        findings: of the study; finding ``n`` is ``findings.fractures[n - 1]``.
        labels: of this series.
        series: the source; axis 0 of its volume is the slice.

    Raises:
        ValueError: no finding has voxels on the series.
    """
    lines = _lines(labels, series)
    if not lines:
        raise ValueError("a presentation state needs a finding with voxels on its series")
    images = {index: slice_images(series)[index] for index in sorted(lines)}
    cited = {str(one.dataset.SOPInstanceUID): one.dataset for one in images.values()}
    headers = [header_of(dataset) for dataset in cited.values()]
    parts = (*findings_parts(findings), *source_parts(series.datasets))
    result = GrayscaleSoftcopyPresentationState(
        referenced_images=[nameless(headers[0]), *headers[1:]],
        series_instance_uid=result_uid("gsps series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("gsps", *parts),
        instance_number=1,
        **equipment(findings.algorithm),
        content_label="SIF_LIKE",
        content_description=STATEMENT[:64],
        graphic_layers=[_LAYER],
        graphic_annotations=[_annotation(images[i], lines[i], findings) for i in images],
        concept_name=None,
        modality_lut_transformation=modality_lut(list(images.values())),
    )
    result.SeriesDescription = described("outlines", headers[0])
    result.BodyPartExamined = "SSPINE"
    moment = moment_of(series.datasets)
    finish(result, headers[0], algorithm=findings.algorithm, moment=moment)
    del result.ContentDate, result.ContentTime  # a presentation state has its own two
    result.PresentationCreationDate, result.PresentationCreationTime = moment.date, moment.time
    return carry(result, findings)


def _lines(labels: SeriesLabels, series: DicomSeries) -> dict[int, list[tuple[int, Floats, bool]]]:
    """By slice: number, closed line (n, 2) column, row, and whether it is the finding's largest."""
    marks = shown(labels, series)
    found: dict[int, list[tuple[int, Floats, bool]]] = {}
    if marks.box is None:
        return found
    for number in numbers_in(marks):
        mask = marks.values[marks.box] == number
        largest = largest_slice(mask)
        for place in np.flatnonzero(mask.any(axis=(1, 2))):
            index = marks.box[0].start + int(place)
            line = outline_of(number, marks, index)
            found.setdefault(index, []).append((number, line, int(place) == largest))
    return found


def _annotation(
    image: SliceImage, numbered: list[tuple[int, Floats, bool]], findings: StudyFindings
) -> GraphicAnnotation:
    height, width = int(image.dataset.Rows), int(image.dataset.Columns)
    graphics, texts = [], []
    for number, line, is_largest in numbered:
        name = words.tracking_identifier(number, findings.fractures[number - 1], findings)
        uid = tracking_uid(findings, number)
        graphics.append(
            GraphicObject(
                graphic_type=Graphic.POLYLINE,
                graphic_data=np.clip(line + 0.5, 1, [width, height]),  # PR counts pixels from 1
                units=AnnotationUnitsValues.PIXEL,
                tracking_id=name,
                tracking_uid=uid,
            )
        )
        if is_largest:
            corner = (float(line[:, 0].max()) + 3, float(line[:, 1].min()) + 1)
            texts.append(
                TextObject(
                    text_value=name,
                    units=AnnotationUnitsValues.PIXEL,
                    anchor_point=(min(corner[0], width), min(max(corner[1], 1), height)),
                )
            )
    return GraphicAnnotation(
        referenced_images=[header_of(image.dataset)],
        graphic_layer=_LAYER,
        referenced_frame_number=image.frame_number,
        graphic_objects=graphics,
        text_objects=texts or None,
    )
