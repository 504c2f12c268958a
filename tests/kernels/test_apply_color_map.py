import numpy as np
import pytest
from placed_maps import MATRICES, assert_follows_formula, feather, similarity

from makeup_kernels import BackendUnavailableError, InvalidInputError, apply_color_map
from makeup_kernels.apply_color_map.reference import apply_color_map_reference


def make_problem(frame=(90, 120), cells=(32, 32), matrix=None, seed=0):
    """A frame, a change that fades to 0 towards its border, and where it lies."""
    rng = np.random.default_rng(seed)
    gain, offset = rng.uniform(-0.6, 0.8, (3, *cells)), rng.uniform(-60, 60, (3, *cells))
    change = (np.concatenate([gain, offset]) * feather(*cells)).astype(np.float32)
    if matrix is None:
        matrix = similarity(0.4, 12, (-8.3, -5.6))
    return rng.integers(0, 256, (*frame, 3), dtype=np.uint8), change, matrix


def follows_formula(result, frame, change, matrix):
    exact = apply_color_map_reference(frame, change, matrix)
    assert_follows_formula(result, exact, matrix, change.shape[1:])


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("cells", [(32, 32), (17, 70), (2, 2)])
def test_follows_the_formula(isa, matrix, cells):
    frame, change, matrix = make_problem(cells=cells, matrix=matrix)
    if cells == (2, 2):
        change[:] = np.arange(24, dtype=np.float32).reshape(6, 2, 2) / 20
    before = frame.copy()
    follows_formula(apply_color_map(frame, change, matrix), frame, change, matrix)
    assert np.array_equal(frame, before)


def test_change_up_to_the_maps_border(isa):
    frame, change, matrix = make_problem(matrix=similarity(0.8, 30, (10, -20)))
    change[:] = 0.25
    follows_formula(apply_color_map(frame, change, matrix), frame, change, matrix)


def test_face_partly_or_wholly_outside_the_frame(isa):
    for shift in ((-40, 20), (10, 25), (-200, 0), (0, 500)):
        frame, change, matrix = make_problem(matrix=similarity(0.4, 5, shift))
        follows_formula(apply_color_map(frame, change, matrix), frame, change, matrix)


def test_long_rows_keep_their_precision(isa):
    frame, change, matrix = make_problem(frame=(3, 5000), matrix=similarity(0.006, 0, (0.3, 12)))
    follows_formula(apply_color_map(frame, change, matrix), frame, change, matrix)


def test_no_change_leaves_every_pixel(isa):
    frame, change, matrix = make_problem()
    change[:] = 0
    assert np.array_equal(apply_color_map(frame, change, matrix), frame)


def test_pixels_away_from_the_change_stay_bit_identical(isa):
    frame, change, matrix = make_problem(matrix=similarity(0.25, 0, (0, 0)))
    change[:] = 0
    change[:, 10:13, 20:22] = 0.5
    result = apply_color_map(frame, change, matrix)
    rows, columns = np.nonzero((result != frame).any(axis=2))
    assert len(rows) > 0
    assert rows.min() > 4 * 9
    assert rows.max() < 4 * 13
    assert columns.min() > 4 * 19
    assert columns.max() < 4 * 22


def test_saturates_instead_of_wrapping(isa):
    frame, change, matrix = make_problem()
    change[:3], change[3:] = 4.0, 100.0
    assert apply_color_map(frame, change, matrix).max() == 255
    change[:3], change[3:] = -3.0, -100.0
    assert apply_color_map(frame, change, matrix).min() == 0


def test_threads_and_instruction_sets_agree_run_to_run(isa, many_cores):
    frame, change, matrix = make_problem(frame=(700, 300), matrix=similarity(0.1, 3, (1, -20)))
    one = apply_color_map(frame, change, matrix, threads=1)
    for threads in (1, 2, 5):
        assert np.array_equal(apply_color_map(frame, change, matrix, threads=threads), one)


def test_strided_inputs_and_outputs(isa):
    frame, change, matrix = make_problem()
    expected = apply_color_map(frame, change, matrix)
    wide = np.repeat(frame, 2, axis=1)[:, ::2]
    wide.setflags(write=False)
    assert np.array_equal(apply_color_map(wide, change, matrix), expected)
    assert np.array_equal(
        apply_color_map(frame[..., ::-1], change[[2, 1, 0, 5, 4, 3]], matrix)[..., ::-1], expected
    )
    out = np.zeros((*frame.shape[:2], 4), np.uint8)
    apply_color_map(frame, change, matrix, out=out[..., :3])
    assert np.array_equal(out[..., :3], expected)
    assert not out[..., 3].any()


def test_in_place(isa):
    frame, change, matrix = make_problem()
    expected = apply_color_map(frame, change, matrix)
    assert apply_color_map(frame, change, matrix, out=frame) is frame
    assert np.array_equal(frame, expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frame", np.zeros((4, 4, 3), np.float32), r"frame: got float32 \(4, 4, 3\)"),
        ("frame", np.zeros((4, 4), np.uint8), r"frame: .*\(4, 4\)"),
        ("change", np.zeros((5, 8, 8), np.float32), r"change: .*\(5, 8, 8\)"),
        ("change", np.zeros((6, 8, 8), np.float64), "change: got float64"),
        ("change", np.zeros((6, 1, 8), np.float32), "expected at least"),
        ("change", np.full((6, 8, 8), np.nan, np.float32), "NaN or infinity"),
        ("change", np.full((6, 8, 8), np.inf, np.float32), "NaN or infinity"),
        ("matrix", np.eye(3), r"expected \(2, 3\)"),
        ("matrix", np.zeros((2, 3)), "invertible"),
    ],
)
def test_says_what_is_wrong(name, value, message):
    arguments = dict(zip(("frame", "change", "matrix"), make_problem(), strict=True))
    with pytest.raises(InvalidInputError, match=message):
        apply_color_map(**(arguments | {name: value}))


def test_refuses_an_output_that_cannot_hold_the_result():
    frame, change, matrix = make_problem()
    with pytest.raises(InvalidInputError, match="out"):
        apply_color_map(frame, change, matrix, out=np.zeros((3, 3, 3), np.uint8))


def test_refuses_a_backend_it_does_not_know():
    with pytest.raises((InvalidInputError, BackendUnavailableError), match="opencl"):
        apply_color_map(*make_problem(), backend="opencl")
