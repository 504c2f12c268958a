import importlib

import numpy as np
import pytest
import torch

from makeup_kernels import InvalidInputError, MorphReference, attentive_morph
from makeup_kernels.attentive_morph.reference import attentive_morph_reference

NAMES = (
    "source_features",
    "reference_features",
    "source_landmarks",
    "reference_landmarks",
    "source_regions",
    "reference_regions",
    "values",
)


def make_problem(
    rng, channels=8, values=2, source=(12, 11), reference=(9, 14), *, points=68, unrelated=False
):
    def floats(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    def region_map(grid):
        return rng.choice(5, size=grid, p=[0.4, 0.1, 0.3, 0.15, 0.05]).astype(np.uint8)

    landmarks = 24 + 8 * floats(points, 2)
    other = landmarks + 2 * floats(points, 2)
    if unrelated:
        other = 48 - landmarks / 2 + 8 * floats(points, 2)
    return [
        floats(channels, *source),
        floats(channels, *reference),
        landmarks,
        other,
        region_map(source),
        region_map(reference),
        floats(values, *reference),
    ]


def as_tf32(array):
    """What a tensor core sees of float32: ten bits of mantissa."""
    return (array.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def assert_within_twice_the_plain_error(result, problem, **options):
    """Error against float64 at most twice that of the plain computation in the same dtypes.

    In the mean square; the largest of these few cells may be three times the plain one's.
    """
    exact = attentive_morph_reference(*problem, **options)
    features = [a.astype(np.float32) for a in problem[:2]]
    if problem[0].dtype == np.float32:
        features = [as_tf32(a) for a in features]
    plain = attentive_morph_reference(*features, *problem[2:], **options, dtype=np.float32)
    ulp = np.finfo(np.float32).eps * max(1.0, float(np.abs(exact).max()))
    if exact[0].size < 16:  # too few cells for a mean: the plain one may be right by luck
        ulp *= options.get("temperature", 200.0)
    assert result.dtype == np.float32
    assert result.shape == exact.shape
    error, plain_error = result - exact, plain - exact
    assert np.sqrt(np.mean(error**2)) <= 2 * np.sqrt(np.mean(plain_error**2)) + ulp
    assert np.abs(error).max() <= 3 * np.abs(plain_error).max() + 4 * ulp


@pytest.mark.parametrize(
    ("channels", "points", "values", "source", "reference"),
    [
        (0, 68, 3, (12, 11), (9, 14)),
        (0, 5, 1, (1, 1), (13, 7)),
        (1, 478, 2, (7, 9), (1, 1)),
        (32, 68, 2, (16, 16), (16, 16)),
        (33, 5, 5, (5, 19), (19, 5)),
        (256, 68, 2, (12, 12), (12, 12)),
        (256, 478, 12, (11, 6), (6, 11)),
        (300, 68, 2, (12, 13), (13, 12)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_error_per_dtype(backend, rng, channels, points, values, source, reference, dtype):
    problem = make_problem(rng, channels, values, source, reference, points=points)
    if (1, 1) in (source, reference):
        problem[4][0, 0] = problem[5][0, 0] = 2
    problem[:2] = [a.astype(dtype) for a in problem[:2]]
    assert_within_twice_the_plain_error(attentive_morph(*problem, backend=backend), problem)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0, "visual_weight": 0.1, "pixel_stride": 1},
        {"temperature": 2000.0, "visual_weight": 0.0, "pixel_stride": 2.5},
        {"temperature": 20.0, "visual_weight": 0.3, "pixel_stride": 4},
    ],
)
def test_options_follow_the_formula(backend, rng, options):
    problem = make_problem(rng, 16)
    result = attentive_morph(*problem, backend=backend, **options)
    assert_within_twice_the_plain_error(result, problem, **options)


def test_other_cells_count_in_the_denominator(backend, rng):
    problem = make_problem(rng, 16, unrelated=True)
    exact = attentive_morph_reference(*problem)
    dropped = attentive_morph_reference(*problem, keep_other_regions=False)
    assert np.abs(exact - dropped).max() > 0.01
    assert_within_twice_the_plain_error(attentive_morph(*problem, backend=backend), problem)


def test_whole_grid_of_one_region_has_no_other_cells(backend, rng):
    """All logits near −200: with no e⁰ term the soft-max must still be one of the logits alone."""
    problem = make_problem(rng, 4)
    problem[2], problem[3] = problem[2] + 2000, problem[3] - 2000
    problem[4][:], problem[5][:] = 7, 7
    result = attentive_morph(*problem, backend=backend)
    assert np.abs(result).min() > 1e-6
    assert_within_twice_the_plain_error(result, problem)
    problem[5][0, 0] = 0  # one e⁰ against e⁻²⁰⁰
    assert np.abs(attentive_morph(*problem, backend=backend)).max() == 0


def test_regions_of_one_side_empty_maps_and_high_ids(backend, rng):
    problem = make_problem(rng, 4, source=(12, 10), reference=(10, 12))
    problem[4][:], problem[5][:] = 0, 0
    problem[4][:3], problem[5][4:] = 2, 2
    problem[4][3:5] = 9  # source only
    problem[5][:2] = 30  # reference only
    problem[4][11, 9] = problem[5][3, 3] = 255  # one cell on either side
    result = attentive_morph(*problem, temperature=20.0, backend=backend)
    assert_within_twice_the_plain_error(result, problem, temperature=20.0)
    assert np.array_equal(result[0] != 0, np.isin(problem[4], (2, 255)))
    for side in (4, 5):
        bare = list(problem)
        bare[side] = np.zeros_like(problem[side])
        assert not attentive_morph(*bare, backend=backend).any()


def test_cell_on_the_only_landmark_has_no_direction(backend, rng):
    problem = make_problem(rng, 0, source=(3, 3), reference=(3, 3), points=1)
    problem[2][:] = 4
    problem[4][:], problem[5][:] = 1, 1
    result = attentive_morph(*problem, backend=backend)
    np.testing.assert_allclose(result[:, 1, 1], problem[6].mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")  # of NumPy in the interpreter
def test_nan_stays_in_its_cell(backend, rng):
    problem = make_problem(rng, 2, source=(8, 8), reference=(8, 8))
    problem[4][:], problem[5][:] = 1, 1
    problem[0][0, 2, 3] = np.nan
    result = attentive_morph(*problem, backend=backend)
    assert np.isnan(result[:, 2, 3]).all()
    assert np.isnan(result).sum() == 2


@pytest.mark.parametrize("references", [1, 3])
def test_batch_is_its_faces_bit_for_bit(backend, rng, references):
    faces = [make_problem(rng, 16) for _ in range(3)]
    batch = [np.stack(arrays) for arrays in zip(*faces, strict=True)]
    for side in (1, 3, 5, 6):
        batch[side] = batch[side][:references]
    result = attentive_morph(*batch, backend=backend)
    for number in range(3):
        one = [array[min(number, len(array) - 1)] for array in batch]
        assert np.array_equal(result[number], attentive_morph(*one, backend=backend))


def test_device_arrays_stay_and_out_is_written(backend, rng, put, get):
    problem = make_problem(rng, 16)
    expected = attentive_morph(*problem, backend=backend)
    on_device = [put(array) for array in problem]
    result = attentive_morph(*on_device, backend=backend)
    assert not isinstance(result, np.ndarray)
    assert get(result).tobytes() == expected.tobytes()
    reference = MorphReference(*(on_device[i] for i in (1, 3, 5, 6)), backend=backend)
    out = put(np.full(expected.shape, np.nan, np.float32))
    source = [on_device[i] for i in (0, 2, 4)]
    assert reference.morph(*source, out=out) is out
    assert get(out).tobytes() == expected.tobytes()
    host_out = np.full(expected.shape, np.nan, np.float32)
    assert reference.morph(*(problem[i] for i in (0, 2, 4)), out=host_out) is host_out
    assert np.array_equal(host_out, expected)


def test_wrong_batches_and_mixed_arrays_raise(backend, rng, put):
    problem = make_problem(rng, 4)
    batch = [np.stack([array] * 2) for array in problem]
    batch[0] = batch[0][:1]
    with pytest.raises(InvalidInputError, match="source_features: got 1 faces, expected 2"):
        attentive_morph(*batch, backend=backend)
    mixed = [put(array) for array in problem]
    mixed[0] = problem[0]
    with pytest.raises(InvalidInputError, match="source_features: got ndarray, expected an array"):
        attentive_morph(*mixed, backend=backend)
    problem[2] = problem[2][:5]
    with pytest.raises(
        InvalidInputError, match=r"source_landmarks: got float32 \(5, 2\), expected float32 \(68"
    ):
        attentive_morph(*problem, backend=backend)


def morph_densely(tensors, *, visual_weight, temperature, pixel_stride):
    """The published dense form for autograd, in float64: all pairs, masked."""
    features, other_features, marks, other_marks, regions, other_regions, values = tensors

    def vectors(landmarks, grid):
        y, x = torch.meshgrid(*(torch.arange(n) * pixel_stride for n in grid), indexing="ij")
        offsets = torch.cat(
            [y.reshape(-1, 1) - landmarks[:, 1], x.reshape(-1, 1) - landmarks[:, 0]], 1
        )
        return offsets / offsets.norm(dim=1, keepdim=True)

    visual = features.flatten(1).T @ other_features.flatten(1) * visual_weight**2
    positions = (
        vectors(marks.double(), regions.shape)
        @ vectors(other_marks.double(), other_regions.shape).T
    )
    same = (regions.reshape(-1, 1) == other_regions.reshape(1, -1)) & (regions.reshape(-1, 1) > 0)
    weights = (torch.where(same, visual + positions, 0.0) * temperature).softmax(1) * same
    return (weights @ values.flatten(1).T).T.reshape(len(values), *regions.shape)


@pytest.mark.parametrize(
    ("channels", "values", "faces", "references"), [(8, 2, 2, 2), (33, 5, 2, 1), (0, 3, 1, 1)]
)
def test_gradients_are_those_of_the_dense_form(backend, rng, channels, values, faces, references):
    if backend != "triton":
        pytest.skip("torch.autograd is Triton's")
    from makeup_kernels.attentive_morph.triton import attentive_morph as morph

    options = {"visual_weight": 0.3, "temperature": 20.0, "pixel_stride": 4}
    problems = [
        make_problem(rng, channels, values, (7, 6), (5, 8), unrelated=True) for _ in range(faces)
    ]
    batch = [torch.from_numpy(np.stack(arrays)) for arrays in zip(*problems, strict=True)]
    for side in (1, 3, 5, 6):
        batch[side] = batch[side][:references]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = [array.to(device) for array in batch]
    exact = [a.double() if a.is_floating_point() else a for a in batch]
    for side in (0, 1, 6):
        ours[side].requires_grad_()
        exact[side].requires_grad_()
    result = morph(*ours, precision="ieee", **options)
    expected = torch.stack(
        [
            morph_densely([array[min(n, len(array) - 1)] for array in exact], **options)
            for n in range(faces)
        ]
    )
    weights = torch.from_numpy(rng.standard_normal(expected.shape))
    (result * weights.to(device)).sum().backward()
    (expected * weights).sum().backward()
    np.testing.assert_allclose(result.detach().cpu(), expected.detach(), atol=2e-5)
    for side in (0, 1, 6):
        gradient, right = ours[side].grad.cpu(), exact[side].grad
        scale = float(right.abs().max()) if right.numel() else 1.0
        np.testing.assert_allclose(gradient, right, atol=1e-5 * scale, err_msg=NAMES[side])
    again = [array.detach().clone().requires_grad_(array.requires_grad) for array in ours]
    (morph(*again, precision="ieee", **options) * weights.to(device)).sum().backward()
    for side in (0, 1, 6):
        assert torch.equal(again[side].grad, ours[side].grad)


def test_every_block_shape_gives_the_result(backend, rng, monkeypatch):
    """The shapes that are timed on a GPU, more of them than this problem has cells among them."""
    if backend != "triton":
        pytest.skip("block shapes are Triton's")
    public = importlib.import_module("makeup_kernels.attentive_morph.triton")
    forward = importlib.import_module("makeup_kernels.attentive_morph.triton_forward")
    backward = importlib.import_module("makeup_kernels.attentive_morph.triton_backward")
    problem = make_problem(rng, 16, source=(11, 13), reference=(12, 9), unrelated=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensors = [torch.from_numpy(array[None]).to(device) for array in problem]
    for side in (0, 1, 6):
        tensors[side].requires_grad_()

    def run(number):
        def chosen(operation, facts, tiles, run):
            return tiles[number % len(tiles)]

        monkeypatch.setattr(forward, "tuned", chosen)
        monkeypatch.setattr(backward, "tuned", chosen)
        result = public.attentive_morph(
            *tensors, precision="ieee", visual_weight=0.3, temperature=20.0
        )
        gradients = torch.autograd.grad(result.square().sum(), [tensors[i] for i in (0, 1, 6)])
        return [result.detach(), *gradients]

    exact = attentive_morph_reference(*problem, visual_weight=0.3, temperature=20.0)
    first = run(0)
    np.testing.assert_allclose(first[0][0].cpu(), exact, atol=2e-5)
    for number in range(1, max(len(forward._TILES), len(backward._TILES))):
        for other, right in zip(run(number), first, strict=True):
            assert float((other - right).abs().max()) <= 2e-5 * float(right.abs().max())
