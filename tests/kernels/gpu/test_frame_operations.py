import numpy as np
import pytest
from placed_maps import feather, on_border, similarity

from makeup_kernels import InvalidInputError, align_faces, apply_color_map, composite
from makeup_kernels.align.reference import align_faces_reference
from makeup_kernels.apply_color_map.reference import apply_color_map_reference
from makeup_kernels.composite.reference import composite_reference

MATRICES = {
    "as it is": similarity(1, 0, (0, 0)),
    "turned": similarity(0.7, 12, (-8.3, -20.6)),
    "upside down": similarity(2.4, 179, (90, 70)),
    "quarter turn": similarity(0.45, 90, (30, -3.1)),
    "sheared": np.array([[0.9, 0.3, -20], [-0.1, 0.6, 5]]),
    "mirrored": np.array([[-1.0, 0.0, 40.0], [0.0, 1.0, -10.0]]),
    "outside": similarity(0.7, 5, (-200, 0)),
}


def image(rng, *shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


def undecided(exact, mask_shape, matrix):
    """Pixels whose sum lies within float32 rounding of a half, or on the crop's border."""
    border = on_border(matrix, exact.shape, mask_shape, within=1e-4)
    return border | (np.abs(exact % 1 - 0.5) < 2e-3).any(axis=2)


def make_composite(rng, frame=(40, 50), crop=(24, 28), faces=1):
    crops = (faces, *crop, 3)
    return (
        image(rng, *frame, 3),
        image(rng, *crops),
        image(rng, *crops),
        np.stack([feather(*crop)] * faces),
    )


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("full_mask", [False, True])
def test_composite_follows_the_formula(backend, rng, matrix, full_mask):
    frame, source, result, mask = (a if i == 0 else a[0] for i, a in enumerate(make_composite(rng)))
    if full_mask:
        mask[:] = 1
    out = composite(frame, source, result, mask, matrix, backend=backend)
    exact = np.clip(composite_reference(frame, source, result, mask, matrix), 0, 255)
    free = undecided(exact, mask.shape, matrix)
    assert np.array_equal(out[~free], np.floor(exact + 0.5)[~free])
    assert free.mean() < 0.15


def test_composite_of_overlapping_faces_in_order(backend, rng, put, get):
    frame, *crops = make_composite(rng, faces=3)
    matrices = np.stack([MATRICES["turned"], MATRICES["sheared"], similarity(0.6, 40, (10, -5))])
    expected = frame
    for number in range(3):
        one = [array[number] for array in crops]
        expected = composite(expected, *one, matrices[number], backend=backend)
    assert np.array_equal(composite(frame, *crops, matrices, backend=backend), expected)
    on_device = put(frame)
    rest = [put(array) for array in crops]
    assert composite(on_device, *rest, matrices, out=on_device, backend=backend) is on_device
    assert np.array_equal(get(on_device), expected)
    out = put(np.full_like(frame, 99))
    composite(put(frame), *rest, put(matrices), out=out, backend=backend)
    assert np.array_equal(get(out), expected)


def test_composite_leaves_what_no_mask_reaches(backend, rng):
    frame, source, result, mask = make_composite(rng)
    matrix = MATRICES["turned"][None]
    assert np.array_equal(
        composite(frame, source, result, 0 * mask, matrix, backend=backend), frame
    )
    assert np.array_equal(composite(frame, source, source, mask, matrix, backend=backend), frame)
    empty_frame = np.zeros_like(frame)
    reach = composite_reference(empty_frame, 0 * source[0], 0 * source[0] + 255, mask[0], matrix[0])
    out = composite(frame, source, result, mask, matrix, backend=backend)
    assert not (out != frame)[reach == 0].any()


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_color_map_follows_the_formula(backend, rng, matrix):
    frame = image(rng, 40, 50, 3)
    change = rng.normal(0, 0.3, (6, 24, 28)).astype(np.float32)
    change[3:] *= 60
    out = apply_color_map(frame, change, matrix, backend=backend)
    exact = np.clip(apply_color_map_reference(frame, change, matrix), 0, 255)
    free = undecided(exact, change.shape[1:], matrix)
    assert np.array_equal(out[~free], np.floor(exact + 0.5)[~free])
    assert free.mean() < 0.15


def test_color_maps_of_overlapping_faces_in_order(backend, rng, put, get):
    frame = image(rng, 33, 45, 3)
    changes = rng.normal(0, 0.2, (2, 6, 9, 12)).astype(np.float32)
    changes[:, 3:] *= 60
    matrices = np.stack([similarity(0.3, 12, (0, -2)), similarity(0.25, -30, (1, 3))])
    expected = frame
    for change, matrix in zip(changes, matrices, strict=True):
        expected = apply_color_map(expected, change, matrix, backend=backend)
    assert (expected != frame).any()
    assert np.array_equal(apply_color_map(frame, changes, matrices, backend=backend), expected)
    on_device = put(frame)
    apply_color_map(on_device, put(changes), matrices, out=on_device, backend=backend)
    assert np.array_equal(get(on_device), expected)
    assert np.array_equal(apply_color_map(frame, 0 * changes, matrices, backend=backend), frame)


@pytest.mark.parametrize("color", ["bgr", "rgb", "nv12"])
def test_crops_follow_the_formula(backend, rng, color):
    size = 12
    matrices = np.stack(
        [similarity(0.9, 10, (3, -5)), similarity(0.3, -80, (3, 9)), similarity(2, 0, (-400, 9))]
    )
    frame = image(rng, 36, 30) if color == "nv12" else image(rng, 25, 31, 3)
    mean, scale = (10.0, 20.0, 30.0), (1.0, 0.5, 0.25)
    options = {"size": size, "color": color, "model_color": "rgb", "mean": mean, "scale": scale}
    crops, inputs = align_faces(frame, matrices, backend=backend, **options)
    for matrix, crop, planes in zip(matrices, crops, inputs, strict=True):
        exact = align_faces_reference(frame, matrix, size=size, color=color)
        assert np.abs(crop - exact).max() <= 0.502
        pixels = crop if color == "rgb" else crop[..., ::-1]
        np.testing.assert_allclose(planes, ((pixels - mean) * scale).transpose(2, 0, 1), atol=1e-4)
    half = align_faces(frame, matrices[0], backend=backend, half=True, **options)
    assert half[0].shape == (size, size, 3)
    assert half[1].dtype == np.float16
    assert np.array_equal(half[1], inputs[0].astype(np.float16))


def test_a_face_that_shrinks_is_averaged(backend):
    """A one-pixel checkerboard, shrunk by eight, is grey."""
    frame = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    frame = np.repeat(frame[..., None], 3, axis=2)
    crop, _ = align_faces(frame, similarity(0.125, 0, (0, 0)), size=16, backend=backend)
    assert np.abs(crop[1:-1, 1:-1].astype(int) - 127).max() <= 2


def test_strided_rows_of_a_device_frame(backend, rng, put, get):
    wide = image(rng, 20, 40, 3)
    part = put(wide)[:, 5:30]
    frame = np.ascontiguousarray(wide[:, 5:30])
    matrix = similarity(0.5, 8, (1, 2))
    crop, _ = align_faces(part, matrix, size=8, backend=backend)
    assert np.array_equal(get(crop), align_faces(frame, matrix, size=8, backend=backend)[0])
    change = rng.normal(0, 0.3, (6, 9, 8)).astype(np.float32)
    out = apply_color_map(part, put(change), matrix, backend=backend)
    assert np.array_equal(get(out), apply_color_map(frame, change, matrix, backend=backend))
    apply_color_map(part, put(change), matrix, out=part, backend=backend)
    assert np.array_equal(get(part), get(out))


def test_wrong_arguments_raise(backend, rng):
    frame, source, result, mask = make_composite(rng)
    matrix = MATRICES["turned"][None]
    with pytest.raises(
        InvalidInputError, match=r"matrix: got shape \(2, 3\), expected \(1, 2, 3\)"
    ):
        composite(frame, source, result, mask, matrix[0], backend=backend)
    with pytest.raises(InvalidInputError, match=r"matrix: .* finite invertible transform"):
        composite(frame, source, result, mask, matrix * np.nan, backend=backend)
    with pytest.raises(InvalidInputError, match=r"result_crop: got uint8 \(1, 23, 28, 3\)"):
        composite(frame, source, result[:, 1:], mask, matrix, backend=backend)
    with pytest.raises(InvalidInputError, match=r"change: got float32 \(1, 5, 4, 4\), expected"):
        apply_color_map(frame, np.zeros((1, 5, 4, 4), np.float32), matrix, backend=backend)
    with pytest.raises(InvalidInputError, match="color, model_color: got 'yuv', 'rgb'"):
        align_faces(frame, matrix, color="yuv", backend=backend)
    with pytest.raises(InvalidInputError, match=r"frame: got uint8 \(40, 50\), expected an NV12"):
        align_faces(frame[..., 0], matrix, color="nv12", backend=backend)
