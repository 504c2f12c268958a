"""Align, composite and colour maps in CUDA against their float64 references."""

import numpy as np
import pytest
from placed_maps import on_border

from makeup_kernels import TEMPLATE_LANDMARKS, InvalidInputError
from makeup_kernels.align.cuda import align_faces
from makeup_kernels.align.reference import align_faces_reference
from makeup_kernels.apply_color_map.cuda import apply_color_map
from makeup_kernels.apply_color_map.reference import apply_color_map_reference
from makeup_kernels.attentive_morph.cuda import MorphReference
from makeup_kernels.composite.cuda import composite
from makeup_kernels.composite.reference import composite_reference
from makeup_kernels.cuda import to_device
from makeup_kernels.match_region_histograms.cuda import RegionHistogram
from makeup_kernels.region_maps.cuda import region_maps

TURNED = [[0.6, -0.13, -1.7137], [0.13, 0.6, 0.9173]]
AWAY = [[0.5, 0.3, -20.21], [-0.3, 0.5, 20.13]]
MATRICES = np.array([TURNED, AWAY])


def random_bytes(rng, *shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


def assert_rounded(result, exact, ignore=None):
    """Each byte is the nearest to a float64, or as near as float32 can tell."""
    error = np.abs(result - np.clip(exact, 0, 255))
    if ignore is not None:
        error[ignore] = 0
    assert error.max() <= 0.5 + 2e-3


@pytest.mark.parametrize("color", ["bgr", "rgb", "nv12"])
@pytest.mark.parametrize("size", [40, 33])
def test_crops_and_inputs(device, color, size):
    rng = np.random.default_rng(size)
    frame = random_bytes(rng, 90, 130, 3) if color != "nv12" else random_bytes(rng, 135, 130)
    small, large = [[0.2, 0.1, 3.0], [-0.1, 0.2, 10.0]], [[2.0, 0.1, -3.0], [-0.1, 2.0, -10.0]]
    tiny = [[0.05, 0.0, 17.0], [0.0, 0.05, 15.0]]  # more than 8 samples a pixel are not taken
    matrices = np.array([TURNED, small, large, tiny])
    mean, scale = (1.0, 2.0, 3.0), (0.1, 0.2, 0.3)
    options = {"size": size, "color": color, "mean": mean, "scale": scale}
    crops, inputs = device.run(lambda: align_faces(frame, matrices, **options))
    for crop, matrix in zip(crops, matrices, strict=True):
        assert_rounded(crop, align_faces_reference(frame, matrix, size=size, color=color))
    ordered = crops if color == "rgb" else crops[..., ::-1]
    expected = (ordered.astype(np.float64) - mean) * scale
    np.testing.assert_allclose(inputs, expected.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-6)
    _, halves = device.run(lambda: align_faces(frame, matrices, half=True, **options))
    assert halves.dtype == np.float16
    np.testing.assert_array_equal(halves, inputs.astype(np.float16))


def test_composite_of_faces_in_their_order(device):
    rng = np.random.default_rng(1)
    frame, crops = random_bytes(rng, 90, 130, 3), random_bytes(rng, 2, 2, 64, 50, 3)
    masks = rng.random((2, 64, 50), np.float32)
    masks[:, :8] = 0
    result = device.run(lambda: composite(frame, crops[0], crops[1], masks, MATRICES))
    expected, ignore = frame, np.zeros((90, 130), bool)
    for face, matrix in enumerate(MATRICES):
        exact = composite_reference(expected, crops[0, face], crops[1, face], masks[face], matrix)
        expected = np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8)
        ignore |= on_border(matrix, (90, 130), (64, 50), within=1e-3)
    off = (result != expected).any(axis=2) & ~ignore
    assert off.mean() < 2e-3  # a half that float32 rounds the other way
    assert np.abs(result.astype(int) - expected)[~ignore].max() <= 1
    assert (result != frame).any(axis=2).mean() > 0.2


def test_one_face_is_rounded_from_the_exact_value(device):
    rng = np.random.default_rng(2)
    frame, crops = random_bytes(rng, 70, 61, 3), random_bytes(rng, 2, 1, 30, 30, 3)
    masks, matrix = rng.random((1, 30, 30), np.float32), MATRICES[:1]
    result = device.run(lambda: composite(frame, crops[0], crops[1], masks, matrix))
    exact = composite_reference(frame, crops[0, 0], crops[1, 0], masks[0], matrix[0])
    assert_rounded(result, exact, on_border(matrix[0], (70, 61), (30, 30), within=1e-3))


@pytest.mark.parametrize("faces", [1, 2, 40])
def test_color_maps_of_faces_in_their_order(device, faces):
    rng = np.random.default_rng(3)
    frame = random_bytes(rng, 40, 50, 3)
    size = np.array([0.2, 0.2, 0.2, 20, 20, 20], np.float32)[:, None, None]
    changes = rng.standard_normal((faces, 6, 12, 16)).astype(np.float32) * size / faces
    matrices = np.tile(MATRICES[:1] * 0.4, (faces, 1, 1))
    matrices[:, 0, 2] += np.arange(faces) * 0.01
    result = device.run(lambda: apply_color_map(frame, changes, matrices))
    expected, ignore = frame, np.zeros((40, 50), bool)
    for change, matrix in zip(changes, matrices, strict=True):
        exact = apply_color_map_reference(expected, change, matrix)
        expected = np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8)
        ignore |= on_border(matrix, (40, 50), (12, 16), within=1e-3)
    assert np.abs(result.astype(int) - expected)[~ignore].max() <= 1
    assert ((result != expected).any(axis=2) & ~ignore).mean() < 2e-3 * faces


def test_what_no_map_reaches_stays_bit_for_bit(device):
    rng = np.random.default_rng(4)
    frame = random_bytes(rng, 48, 70, 3)
    crops, masks = random_bytes(rng, 2, 1, 16, 16, 3), np.zeros((1, 16, 16), np.float32)
    matrices = MATRICES[:1]
    np.testing.assert_array_equal(
        device.run(lambda: composite(frame, crops[0], crops[1], masks, matrices)), frame
    )
    far = matrices + [[[0, 0, 1e7], [0, 0, 0]]]
    ones = np.ones((1, 16, 16), np.float32)
    np.testing.assert_array_equal(
        device.run(lambda: composite(frame, crops[0], crops[1], ones, far)), frame
    )
    nothing = np.zeros((0, 6, 4, 4), np.float32)
    np.testing.assert_array_equal(
        device.run(lambda: apply_color_map(frame, nothing, np.zeros((0, 2, 3)))), frame
    )


def test_in_place_and_strided_frames(host_gpu, host_gpu_module):
    rng = np.random.default_rng(5)
    wide = random_bytes(rng, 20, 40, 3)
    crops, masks = random_bytes(rng, 2, 1, 16, 16, 3), np.ones((1, 16, 16), np.float32)
    expected = composite(wide[:, :30].copy(), crops[0], crops[1], masks, MATRICES[:1]).get()
    store = to_device(wide)
    view = host_gpu_module.DeviceArray(
        host_gpu, (20, 30, 3), np.dtype(np.uint8), store.gpudata, (120, 3, 1)
    )
    moved = composite(view, crops[0], crops[1], masks, MATRICES[:1])
    np.testing.assert_array_equal(moved.get(), expected)
    assert composite(view, crops[0], crops[1], masks, MATRICES[:1], out=view) is view
    np.testing.assert_array_equal(store.get()[:, :30], expected)
    np.testing.assert_array_equal(store.get()[:, 30:], wide[:, 30:])
    narrow = host_gpu_module.DeviceArray(
        host_gpu, (20, 30, 3), np.dtype(np.uint8), store.gpudata, (120, 4, 1)
    )
    with pytest.raises(InvalidInputError, match=r"frame: got strides \(120, 4, 1\) of uint8"):
        composite(narrow, crops[0], crops[1], masks, MATRICES[:1])


def test_everything_is_enqueued_on_the_callers_stream(host_gpu):
    stream = host_gpu.driver.Stream()
    frame = np.zeros((8, 8, 3), np.uint8)
    align_faces(frame, MATRICES, size=8, stream=stream)
    changes = np.zeros((2, 6, 4, 4), np.float32)
    apply_color_map(frame, changes, to_device(MATRICES), stream=stream)
    assert host_gpu.launches == ["align_float", "apply_color_map"]


def test_a_steady_frame_allocates_nothing(host_gpu):
    """With everything on the GPU and results given, calls can be captured in a CUDA graph."""
    rng = np.random.default_rng(6)
    frame, matrices = to_device(random_bytes(rng, 40, 50, 3)), to_device(MATRICES)
    landmarks = to_device(np.tile(TEMPLATE_LANDMARKS * 16, (2, 1, 1)))
    regions = to_device(rng.integers(0, 4, (2, 16, 16)).astype(np.uint8))
    features, planes = (to_device(rng.random((2, n, 16, 16), np.float32)) for n in (64, 2))
    logits = to_device(rng.random((2, 5, 8, 8), np.float32))
    masks = to_device(np.ones((2, 16, 16), np.float32))
    crops, inputs = align_faces(frame, matrices, size=16)
    reference = MorphReference(features, landmarks, regions, planes)
    morphed = reference.morph(features, landmarks, regions)
    maps = region_maps(logits, landmarks, size=16)
    histogram = RegionHistogram(crops, maps)
    matched = histogram.match(crops, maps)

    def call() -> None:
        align_faces(frame, matrices, size=16, out=(crops, inputs))
        region_maps(logits, landmarks, size=16, out=maps)
        reference.morph(features, landmarks, regions, morphed)
        histogram.match(crops, maps, matched)
        composite(frame, crops, matched, masks, matrices, out=frame)

    call()
    count = len(host_gpu.allocations)
    host_gpu.launches.clear()
    call()
    assert len(host_gpu.allocations) == count
    assert len(host_gpu.launches) == 12


FRAME, CROPS = np.zeros((8, 9, 3), np.uint8), np.zeros((1, 4, 5, 3), np.uint8)
MASKS, ONE = np.zeros((1, 4, 5), np.float32), MATRICES[:1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: composite(FRAME, CROPS, CROPS, MASKS[:, :1], ONE),
            r"source_crops: got uint8 \(1, 4, 5, 3\), expected uint8 \(1, 1, 5, 3\)",
        ),
        (
            lambda: composite(FRAME, CROPS[:, :1], CROPS[:, :1], MASKS[:, :1], ONE),
            "composite: got maps of 1 x 5, expected at least 2 x 2",
        ),
        (
            lambda: composite(FRAME, CROPS, CROPS, MASKS, MATRICES),
            r"matrices: got float64 \(2, 2, 3\), expected float64 \(1, 2, 3\)",
        ),
        (
            lambda: composite(FRAME, CROPS, CROPS, MASKS, ONE * 0),
            "matrices: got .*, expected finite invertible transforms",
        ),
        (
            lambda: composite(FRAME, CROPS, CROPS, MASKS, ONE, out=FRAME),
            "out: got a NumPy array, expected one on the GPU or None",
        ),
        (lambda: align_faces(FRAME, ONE, size=0), "size: got 0, expected at least 1"),
        (
            lambda: align_faces(FRAME, ONE, color="yuv"),
            "color, model_color: got 'yuv', 'rgb', expected 'bgr', 'rgb' or 'nv12'",
        ),
        (
            lambda: align_faces(FRAME[:7, :, 0].copy(), ONE, color="nv12"),
            r"frame: got uint8 \(7, 9\) for color='nv12', expected .* with even H and W",
        ),
    ],
)
def test_wrong_arguments_raise(host_gpu, call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
