"""Read the makeup of a reference photo as colour fields on the template face."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, NoFaceError, Region
from makeup_sdk.faces.layout import (
    FINE_STRIDE,
    FaceLayout,
    LaidFields,
    masked_blur,
)
from makeup_sdk.faces.light import luminance, to_log
from makeup_sdk.faces.template import (
    template_landmarks,
    template_regions,
)
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.fields import DETAIL_SIDE, FIELD_SIZE, MakeupFields
from makeup_sdk.models.classic.bare_face import bare_face

FloatArray = NDArray[np.float32]

DETAIL_SCALE = 80.0
"""Gain from log light to the uint8 steps of a detail image, whose zero is 128."""
DETAIL_SIGMA = 3.0
"""Crop pixels; what a Gaussian of this width takes away is a lip's detail: folds and gloss."""

_BLUR_SIGMA = {Region.LIPS: 2.0, Region.SKIN: 6.0, Region.EYES: 1.6, Region.BROWS: 2.0}


_LIP_MODELLING_OFF = 0.6
"""Share of the lips' own light and dark that is not makeup."""
_ONE_SIDED = 0.7
"""How much fainter a colour becomes that only one half of the face wears; 1 drops it."""
_LIP_EVIDENCE = (0.12, 0.35)
"""Log-light departure from bare lips at which lips start to count as made up, and surely do."""
_COVER = {Region.LIPS: 0.5, Region.EYES: 0.5}


def encode(face: FaceAnalysis, threads: int | None = None) -> MakeupFields:
    """Read the makeup of an analysed reference.

    Per region the blurred colour is taken relative to the reference's own bare skin
    (`SkinTone`), laid out on the template, and made symmetric, so that one-sided light, hair
    strands and jewellery do not count as makeup.

    Args:
        face: the reference.
        threads: CPU threads; None: one per core.

    Raises:
        NoFaceError: too little skin is visible.
    """
    light = to_log(face.crop)
    tone = SkinTone.fit(light, face.regions)
    if tone is None:
        raise NoFaceError(
            "the reference shows too little bare skin to read its makeup; "
            "use a photo with an uncovered, evenly lit face"
        )
    fields = _relative_fields(light, tone, face.regions)
    photo = FaceLayout(face.crop_landmarks, face.regions)
    template = FaceLayout(template_landmarks(), template_regions())
    straight = _on_template(fields, photo, template, threads)
    flipped = np.ascontiguousarray(fields[:, :, ::-1])
    mirrored = _on_template(flipped, photo.mirrored(), template, threads)
    cover = np.array([_COVER.get(region, 0) for region in Region], np.float32)
    worn = _evenly_lit_lips(_symmetric(straight, mirrored))
    detail = _lip_detail(light, face.regions)
    return MakeupFields(worn, detail, tone.mean, cover, _lip_presence(worn))


def _relative_fields(light: FloatArray, tone: SkinTone, regions: NDArray[np.uint8]) -> FloatArray:
    """float32 (3, 128, 128): see `MakeupFields.fields`, still on the photo."""
    bare = tone.over_crop()
    fields = np.zeros((3, CROP_SIZE, CROP_SIZE), np.float32)
    for region, sigma in _BLUR_SIGMA.items():
        inside = regions == region
        if inside.any():
            color = masked_blur(light, inside.astype(np.float32), sigma)
            fields[:, inside] = (color - bare)[inside].T
    return np.ascontiguousarray(fields[:, ::FINE_STRIDE, ::FINE_STRIDE])


def _on_template(
    fields: FloatArray, photo: FaceLayout, template: FaceLayout, threads: int | None
) -> FloatArray:
    laid = np.zeros((fields.shape[0], FIELD_SIZE, FIELD_SIZE), np.float32)
    for placement, grid, cells in LaidFields(fields, photo, threads=threads).on(template):
        if placement.stride == FINE_STRIDE:
            inside, values = grid > 0, cells
        else:
            inside = np.isin(template.regions[::FINE_STRIDE, ::FINE_STRIDE], placement.regions)
            mask = (grid > 0).astype(np.float32)
            smooth = masked_blur(np.ascontiguousarray(cells.transpose(1, 2, 0)), mask, 1.0)
            smooth = cv2.resize(smooth, (FIELD_SIZE, FIELD_SIZE), interpolation=cv2.INTER_LINEAR)
            values = smooth.transpose(2, 0, 1)
        laid[:, inside] = values[:, inside]
    return laid


def _symmetric(straight: FloatArray, mirrored: FloatArray) -> FloatArray:
    """Keep what both halves of the face wear.

    The mean of the halves, fainter the more they differ; its hue is not changed. Where one half
    shows nothing (turned away), the other half alone.
    """
    mean = 0.5 * (straight + mirrored)
    apart = np.linalg.norm(straight - mirrored, axis=0)
    together = np.linalg.norm(straight, axis=0) + np.linalg.norm(mirrored, axis=0)
    common = mean * (1 - _ONE_SIDED * apart / np.maximum(together, 1e-6))
    straight_empty, mirrored_empty = ~straight.any(axis=0), ~mirrored.any(axis=0)
    only = np.where(straight_empty, mirrored, straight)
    return np.where(straight_empty != mirrored_empty, only, common).astype(np.float32)


def _evenly_lit_lips(fields: FloatArray) -> FloatArray:
    """The lips' light and dark drawn towards their mean: most of it is the light from above."""
    lips = template_regions()[::FINE_STRIDE, ::FINE_STRIDE] == Region.LIPS
    lightness = luminance(fields[:, lips].T)
    even: FloatArray = fields.copy()
    even[:, lips] -= _LIP_MODELLING_OFF * (lightness - lightness.mean())
    return even


def _lip_presence(fields: FloatArray) -> FloatArray:
    """Whether the lips depart from bare ones as lipstick does: redder, of another hue, or darker.

    Paler or less red lips are mostly a matter of light, and count little.
    """
    lips = template_regions()[::FINE_STRIDE, ::FINE_STRIDE] == Region.LIPS
    bare = bare_face()[:, lips].mean(axis=1)
    worn = fields[:, lips].mean(axis=1) - bare
    bare_color, color = bare - luminance(bare), worn - luminance(worn)
    hue = bare_color / np.linalg.norm(bare_color)
    redder = float(color @ hue)
    other = float(np.linalg.norm(color - redder * hue))
    darker = max(-float(luminance(worn)), 0)
    evidence = np.hypot(max(redder, -0.35 * redder), np.hypot(0.7 * other, 0.4 * darker))
    low, high = _LIP_EVIDENCE
    return np.array(np.clip((evidence - low) / (high - low), 0, 1), np.float32)


def _lip_detail(light: FloatArray, regions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    inside = regions == Region.LIPS
    if inside.sum() < 16:
        return np.full((DETAIL_SIDE, DETAIL_SIDE, 3), 128, np.uint8)
    samples = np.sort(detail_image(light, inside)[inside], axis=0)
    picks = np.linspace(0, len(samples) - 1, DETAIL_SIDE**2).round().astype(int)
    return np.ascontiguousarray(samples[picks].reshape(DETAIL_SIDE, DETAIL_SIDE, 3))


def detail_image(light: FloatArray, inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): 128 + 80 · (log light minus its blur inside a mask), zero detail outside."""
    blurred = masked_blur(light, inside.astype(np.float32), DETAIL_SIGMA)
    detail = np.where(inside[..., None], light - blurred, 0)
    return np.clip(detail * DETAIL_SCALE + 128.5, 0, 255).astype(np.uint8)
