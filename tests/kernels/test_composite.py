import numpy as np
import pytest
from placed_maps import MATRICES, assert_follows_formula, feather, similarity

from makeup_kernels import InvalidInputError, composite, crop_face
from makeup_kernels.composite.reference import composite_reference


def make_problem(frame=(90, 120), crop=(48, 48), matrix=None, seed=0):
    rng = np.random.default_rng(seed)

    def image(shape):
        return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)

    if matrix is None:
        matrix = similarity(0.7, 12, (-8.3, -20.6))
    return image(frame), image(crop), image(crop), feather(*crop), matrix


def follows_formula(result, arguments):
    *_, mask, matrix = arguments
    assert_follows_formula(result, composite_reference(*arguments), matrix, mask.shape)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("crop", [(48, 48), (31, 70), (2, 2)])
def test_follows_the_formula(isa, matrix, crop):
    arguments = make_problem(crop=crop, matrix=matrix)
    if crop == (2, 2):
        arguments[3][:] = [[1, 0.5], [0.25, 0]]
    before = arguments[0].copy()
    follows_formula(composite(*arguments), arguments)
    assert np.array_equal(arguments[0], before)


def test_mask_of_ones_reaches_the_crops_border(isa):
    *images, mask, matrix = make_problem(matrix=similarity(0.8, 30, (10, -20)))
    mask[:] = 1
    follows_formula(composite(*images, mask, matrix), (*images, mask, matrix))


def test_face_partly_or_wholly_outside_the_frame(isa):
    for shift in ((-60, 30), (20, 35), (-200, 0), (0, 500)):
        arguments = make_problem(matrix=similarity(0.7, 5, shift))
        result = composite(*arguments)
        follows_formula(result, arguments)
    assert np.array_equal(result, arguments[0])


def test_long_rows_keep_their_place(isa):
    """Runs of many chunks, at the far end of a wide frame."""
    arguments = make_problem(
        frame=(40, 4000), crop=(256, 256), matrix=similarity(0.2, 1, (-560, 100))
    )
    follows_formula(composite(*arguments), arguments)


def test_outside_the_mask_bit_identical(isa):
    frame, source, result, mask, matrix = make_problem()
    out = composite(frame, source, result, mask, matrix)
    touched = (out != frame).any(axis=2)
    ones = np.full_like(source, 255)
    reach = composite_reference(np.zeros_like(frame), 0 * ones, ones, mask, matrix)[..., 0] > 0
    assert touched.any()
    assert not touched[~reach].any()


def test_zero_mask_or_no_change_leaves_the_frame(isa):
    frame, source, result, mask, matrix = make_problem()
    assert np.array_equal(composite(frame, source, result, 0 * mask, matrix), frame)
    assert np.array_equal(composite(frame, source, source, mask, matrix), frame)


def test_keeps_detail_finer_than_the_crop():
    """A frame with pixel-sized texture and a brighter crop: the texture moves up unharmed."""
    rng = np.random.default_rng(1)
    frame = rng.integers(60, 180, (120, 120, 3), dtype=np.uint8)
    matrix = similarity(0.4, 0, (0, 0))
    crop = crop_face(frame, matrix, 48)
    out = composite(frame, crop, crop + np.uint8(20), np.ones((48, 48), np.float32), matrix)
    inside = np.s_[:117, :117]
    assert np.array_equal(out[inside], frame[inside] + 20)


def test_clips_and_rounds_half_up(isa):
    frame = np.full((4, 4, 3), 250, np.uint8)
    low, high = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    mask, matrix = np.ones((4, 4), np.float32), similarity(1, 0, (0, 0))
    assert (composite(frame, low, high, mask, matrix) == 255).all()
    assert (composite(frame, high, low, mask, matrix) == 0).all()
    assert (composite(frame, low, low + np.uint8(1), mask / 2, matrix) == 251).all()
    assert (composite(frame, low + np.uint8(1), low, mask / 2, matrix) == 250).all()


def test_in_place_out_and_strided_frames(isa):
    frame, *rest = make_problem()
    expected = composite(frame, *rest)
    wide = np.zeros((90, 150, 3), np.uint8)
    rows = wide[:, 10:130]  # row-strided
    rows[...] = frame
    assert composite(rows, *rest, out=rows) is rows
    assert np.array_equal(rows, expected)
    assert not wide[:, :10].any()
    assert not wide[:, 130:].any()

    flipped = frame[..., ::-1].copy()[..., ::-1]  # channels in reverse order in memory
    assert np.array_equal(composite(flipped, *rest), expected)
    assert np.array_equal(composite(flipped, *rest, out=flipped), expected)
    out = np.zeros_like(frame)
    assert composite(frame, *rest, out=out) is out
    assert np.array_equal(out, expected)


def test_strided_and_read_only_inputs(isa):
    frame, source, result, mask, matrix = make_problem(crop=(30, 44))
    expected = composite(frame, source, result, mask, matrix)
    turned = [np.ascontiguousarray(a.T).T[::-1][::-1] for a in (source, result, mask)]
    for array in (frame, *turned, matrix):
        array.flags.writeable = False
    assert np.array_equal(composite(frame, *turned, matrix), expected)


def test_same_bits_for_any_number_of_threads(isa):
    arguments = make_problem(frame=(400, 300), crop=(96, 96), matrix=similarity(0.4, 20, (30, -9)))
    expected = composite(*arguments, threads=1)
    for threads in (2, 3, 8):
        assert np.array_equal(composite(*arguments, threads=threads), expected)


FRAME, CROP = np.zeros((9, 8, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
MASK, MATRIX = np.ones((4, 5), np.float32), np.eye(2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (FRAME[..., 0], CROP, CROP, MASK, MATRIX),
            r"frame: got uint8 \(9, 8\), expected uint8 \(H, W, 3\)",
        ),
        (
            (FRAME, CROP[:3], CROP, MASK, MATRIX),
            r"source_crop: got uint8 \(3, 5, 3\), expected uint8 \(4, 5, 3\)",
        ),
        (
            (FRAME, CROP, CROP.astype(np.int16), MASK, MATRIX),
            r"result_crop: got int16 \(4, 5, 3\), expected uint8 \(4, 5, 3\)",
        ),
        (
            (FRAME, CROP, CROP, MASK.astype(np.float64), MATRIX),
            r"mask: got float64 \(4, 5\), expected float32 \(h, w\)",
        ),
        (
            (FRAME, CROP[:1], CROP[:1], MASK[:1], MATRIX),
            r"mask: got float32 \(1, 5\), expected at least \(2, 2\)",
        ),
        ((FRAME, CROP, CROP, 2 * MASK, MATRIX), r"mask: .* outside \[0, 1\] or NaN"),
        ((FRAME, CROP, CROP, MASK * np.float32(np.nan), MATRIX), "mask: .* or NaN"),
        ((FRAME, CROP, CROP, MASK, np.eye(3)), r"matrix: got shape \(3, 3\), expected \(2, 3\)"),
        ((FRAME, CROP, CROP, MASK, np.ones((2, 3))), "matrix: .* finite invertible transform"),
        ((FRAME, CROP, CROP, MASK, MATRIX * np.nan), "matrix: .* finite invertible transform"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        composite(*arguments)


def test_wrong_out_raises():
    frozen = FRAME.copy()
    frozen.flags.writeable = False
    with pytest.raises(InvalidInputError, match="out: the array is read-only"):
        composite(frozen, CROP, CROP, MASK, MATRIX, out=frozen)
    with pytest.raises(InvalidInputError, match="out: shares memory with an input"):
        composite(FRAME[1:], CROP, CROP, MASK, MATRIX, out=FRAME[:-1])
