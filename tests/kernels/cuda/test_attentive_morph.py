"""The attentive morph in CUDA against the float64 reference, with the 2x error rule per dtype."""

import json
import sys
from itertools import product

import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_kernels.attentive_morph import cuda_measure, cuda_splits
from makeup_kernels.attentive_morph.cuda import MorphReference, attentive_morph
from makeup_kernels.attentive_morph.cuda_splits import splits_by_rule
from makeup_kernels.attentive_morph.reference import attentive_morph_reference
from makeup_kernels.cuda.driver import on_gpu

FULL, WIDE, SMALL, CELL = (64, 64), (48, 80), (14, 19), (1, 1)
GRIDS = [(FULL, FULL), (WIDE, WIDE), (FULL, WIDE), (CELL, FULL), (FULL, CELL), (CELL, CELL)]


def make_problem(
    channels=8, values=2, source=SMALL, reference=(17, 12), *, points=68, faces=1, references=1,
    dtype=np.float32, seed=0, unrelated=False,
):  # fmt: skip
    """Arguments of `attentive_morph` on batches."""
    rng = np.random.default_rng(seed)

    def region_maps(*shape):
        return rng.choice(5, size=shape, p=[0.6, 0.03, 0.25, 0.1, 0.02]).astype(np.uint8)

    def floats(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    landmarks = 128 + 35 * floats(faces, points, 2)
    other = landmarks[:references] + 5 * floats(references, points, 2)
    if unrelated:
        other = 128 - landmarks[:references] / 2 + 30 * floats(references, points, 2)
    maps = region_maps(faces, *source), region_maps(references, *reference)
    if CELL in (source, reference):
        maps[0][:, 0, 0] = maps[1][:, 0, 0] = 2
    return [
        floats(faces, channels, *source).astype(dtype),
        floats(references, channels, *reference).astype(dtype),
        landmarks,
        other,
        *maps,
        floats(references, values, *reference),
    ]


def one_face(problem, face: int):
    """The arguments of the float64 reference for one face of a batch."""
    last = len(problem[1]) - 1
    other = [problem[i][min(face, last)] for i in (1, 3, 5, 6)]
    return problem[0][face], other[0], problem[2][face], other[1], problem[4][face], *other[2:]


def assert_within_twice_plain(result, problem, *, half, **options):
    """Error against float64 at most twice that of the plain dense computation in that precision."""
    assert result.dtype == np.float32
    for face, found in enumerate(result):
        arguments = one_face(problem, face)
        exact = attentive_morph_reference(*arguments, **options)
        rounded = [a.astype(np.float16) if half and i < 2 else a for i, a in enumerate(arguments)]
        plain = attentive_morph_reference(*rounded, **options, dtype=np.float32)
        ulp = np.finfo(np.float32).eps * max(1.0, float(np.abs(exact).max()))
        assert found.shape == exact.shape
        assert np.abs(found - exact).max() <= 2 * np.abs(plain - exact).max() + ulp


@pytest.mark.parametrize(
    ("channels", "values", "points", "dtype", "precision"),
    [
        (0, 1, 68, np.float32, "tf32"),
        (0, 3, 478, np.float32, "tf32"),
        (1, 12, 5, np.float32, "tf32"),
        (32, 2, 68, np.float32, "tf32"),
        (48, 3, 68, np.float16, "tf32"),
        (256, 2, 68, np.float32, "tf32"),
        (256, 3, 5, np.float16, "tf32"),
        (256, 2, 68, np.float32, "ieee"),
        (300, 12, 68, np.float16, "tf32"),
    ],
)
def test_error_stays_within_twice_that_of_the_plain_computation(
    device, channels, values, points, dtype, precision
):
    problem = make_problem(channels, values, points=points, dtype=dtype)
    out = device.poisoned((1, values, *SMALL), np.float32)
    result = device.run(lambda: attentive_morph(*problem, precision=precision, out=out))
    half = dtype == np.float16 or (channels >= 64 and precision == "tf32")
    assert_within_twice_plain(result, problem, half=half)


def test_whole_table_on_a_gpu(gpu_device):
    """The CPU kernels' table with fresh numbers each time; the emulation would need an hour."""
    seeds = np.random.default_rng()
    table = product([0, 1, 32, 256], [1, 2, 3, 12], [5, 68, 478], GRIDS, [np.float32, np.float16])
    for channels, values, points, grids, dtype in table:
        seed = int(seeds.integers(1 << 31))
        problem = make_problem(channels, values, *grids, points=points, dtype=dtype, seed=seed)
        result = gpu_device.run(lambda p=problem: attentive_morph(*p))
        half = dtype == np.float16 or channels >= 64
        if CELL in grids:  # one cell rounds well or badly by chance
            exact = attentive_morph_reference(*one_face(problem, 0))
            bound = 2e-3 if half else 1e-4
            assert np.abs(result[0] - exact).max() <= bound, (seed, channels, points, grids)
        else:
            assert_within_twice_plain(result, problem, half=half)


@pytest.mark.parametrize("references", [1, 3])
def test_faces_in_a_batch_are_those_of_single_calls(device, references):
    problem = make_problem(64, 2, faces=3, references=references, seed=2)
    result = device.run(lambda: attentive_morph(*problem))
    for face in range(3):
        single = [np.ascontiguousarray(a[None]) for a in one_face(problem, face)]
        np.testing.assert_array_equal(
            device.run(lambda s=single: attentive_morph(*s))[0], result[face]
        )


def test_prepared_reference_serves_several_sources(device):
    problem = make_problem(16, 3, faces=2, seed=4)
    reference = MorphReference(problem[1], problem[3], problem[5], problem[6])
    expected = device.run(lambda: attentive_morph(*problem))
    for array in (problem[1], problem[3], problem[5], problem[6]):
        array[...] = 0
    result = device.run(lambda: reference.morph(problem[0], problem[2], problem[4]))
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("temperature", [1.0, 2000.0])
@pytest.mark.parametrize(("visual_weight", "pixel_stride"), [(0.0, 1), (0.1, 2.5)])
def test_options_follow_the_formula(device, temperature, visual_weight, pixel_stride):
    options = {
        "temperature": temperature,
        "visual_weight": visual_weight,
        "pixel_stride": pixel_stride,
    }
    problem = make_problem(seed=3)
    result = device.run(lambda: attentive_morph(*problem, **options))
    assert_within_twice_plain(result, problem, half=False, **options)


@pytest.mark.parametrize("channels", [0, 64])
def test_other_cells_count_in_the_denominator(device, channels):
    problem, stride = make_problem(channels, unrelated=True), 16
    arguments = one_face(problem, 0)
    exact = attentive_morph_reference(*arguments, pixel_stride=stride)
    dropped = attentive_morph_reference(*arguments, pixel_stride=stride, keep_other_regions=False)
    assert np.abs(exact - dropped).max() > 0.1
    result = device.run(lambda: attentive_morph(*problem, pixel_stride=stride))
    assert_within_twice_plain(result, problem, half=channels >= 64, pixel_stride=stride)


def test_whole_grid_of_one_region_has_no_other_cells(device):
    """All logits near -200: with no e^0 term the soft-max must still be one of the logits alone."""
    problem = make_problem(4, source=(9, 9), reference=(13, 7), seed=5)
    problem[2] += 2000
    problem[3] -= 2000
    problem[4][:] = problem[5][:] = 7
    result = device.run(lambda: attentive_morph(*problem))
    assert np.abs(result).min() > 1e-6
    assert_within_twice_plain(result, problem, half=False)
    problem[5][0, 0, 0] = 0  # one e^0 against e^-200
    assert np.abs(device.run(lambda: attentive_morph(*problem))).max() == 0


def test_regions_of_one_side_empty_maps_and_high_ids(device):
    problem = make_problem(4, source=(12, 10), reference=(10, 12), seed=8)
    source_regions, reference_regions = problem[4][0], problem[5][0]
    source_regions[:] = reference_regions[:] = 0
    source_regions[:3] = 2  # both sides
    source_regions[3:5] = 9  # source only
    source_regions[11, 9] = 255  # one cell on either side
    reference_regions[4:] = 2
    reference_regions[:2] = 30  # reference only
    reference_regions[3, 3] = 255
    out = device.poisoned((1, 2, 12, 10), np.float32)
    result = device.run(lambda: attentive_morph(*problem, out=out))
    assert_within_twice_plain(result, problem, half=False)
    assert np.array_equal(result[0, 0] != 0, np.isin(source_regions, (2, 255)))
    reference_regions[:] = 0
    assert not device.run(lambda: attentive_morph(*problem, out=out)).any()


def test_every_cell_a_region_of_its_own(device):
    """255 regions: far more tiles than blocks, so that blocks take several turns."""
    problem = make_problem(0, source=(15, 17), reference=(15, 17), seed=6)
    ids = np.arange(1, 256, dtype=np.uint8).reshape(1, 15, 17)
    problem[4][:], problem[5][:] = ids, ids[:, ::-1]
    result = device.run(lambda: attentive_morph(*problem))
    assert_within_twice_plain(result, problem, half=False)


def test_a_cell_on_the_only_landmark_has_no_direction(device):
    problem = make_problem(0, source=(3, 3), reference=(3, 3), points=1)
    problem[2][:] = 4
    problem[4][:] = problem[5][:] = 1
    result = device.run(lambda: attentive_morph(*problem))
    exact = attentive_morph_reference(*one_face(problem, 0))
    np.testing.assert_allclose(result[0], exact, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 64])
def test_non_finite_features_show_in_the_result(device, channels):
    problem = make_problem(channels, source=(8, 8), reference=(8, 8))
    problem[4][:] = problem[5][:] = 1
    problem[0][0, 0, 2, 3] = np.nan
    result = device.run(lambda: attentive_morph(*problem))
    assert np.isnan(result[0, :, 2, 3]).all()
    assert np.isnan(result).sum() == 2


@pytest.mark.parametrize("splits", [1, 2, 4, 8])
@pytest.mark.parametrize("channels", [8, 64])
def test_any_number_of_warps_a_tile(device, splits, channels, monkeypatch):
    module = sys.modules[attentive_morph.__module__]
    monkeypatch.setattr(module, "choose_splits", lambda *problem: splits)
    problem = make_problem(channels, source=(18, 20), reference=(22, 31), seed=9)
    result = device.run(lambda: attentive_morph(*problem))
    assert_within_twice_plain(result, problem, half=channels >= 64)


def test_fewest_warps_a_tile_that_fill_the_gpu():
    assert [splits_by_rule(tiles, 132) for tiles in (110, 600, 1100, 2200)] == [8, 4, 2, 1]


def test_measured_choices_are_kept_per_gpu(host_gpu, monkeypatch, tmp_path, capsys):
    """In the emulation time is the number of blocks, so that one warp a tile is the fastest."""
    monkeypatch.setenv("MAKEUP_CUDA_KERNELS", str(tmp_path))
    monkeypatch.setattr(cuda_splits, "_known", {})
    host_gpu.counts_only = True
    with on_gpu() as gpu:
        assert cuda_splits.choose_splits(gpu, "morph_half_256_2", 128) == 2
        assert cuda_measure.main(["--report", str(tmp_path / "report.json")]) == 0
        assert cuda_splits.choose_splits(gpu, "morph_half_256_2", 128) == 1
        assert cuda_splits.choose_splits(gpu, "morph_half_256_2", 64) == 4  # by the rule
    assert "morph_half_256_2   1 faces  us by splits 1:" in capsys.readouterr().out
    rows = json.loads((tmp_path / "report.json").read_text())
    assert len(rows) == 16
    assert rows[0]["microseconds"] == {"1": 33e3, "2": 66e3, "4": 132e3, "8": 264e3}
    choices = tmp_path / cuda_splits.CHOICES
    assert json.loads(choices.read_text())["Emulated 16"]["morph_float_4 1024"] == 1
    choices.write_text("damaged")
    monkeypatch.setattr(cuda_splits, "_known", {})
    with on_gpu() as gpu:
        assert cuda_splits.choose_splits(gpu, "morph_half_256_2", 128) == 2


def test_measuring_without_a_gpu_says_why(host_gpu, capsys):
    host_gpu.trouble = "no_gpu"
    assert cuda_measure.main([]) == 1
    assert "no CUDA GPU (no CUDA-capable device is detected)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.zeros((1, 3, 4, 5), np.float64)}, r"source_features: got float64 \(1, 3, 4, 5\), "),
        ({2: np.zeros((2, 68, 2), np.float32)}, r"source_landmarks: got float32 \(2, 68, 2\), exp"),
        (
            {4: np.zeros((4, 5), np.uint8)},
            r"source_regions: got uint8 \(4, 5\), expected uint8 \(N",
        ),
        (
            {0: np.zeros((1, 4, 4, 5), np.float32)},
            r"got 1 faces of 4 channels in float32 and 68 la",
        ),
        (
            {0: np.zeros((1, 3, 4, 5), np.float16)},
            r"source: .* channels in float16 .*, expected wh",
        ),
        ({6: np.zeros((1, 0, 4, 5), np.float32)}, r"values: got \(1, 0, 4, 5\), expected at least"),
        ({3: np.zeros((1, 0, 2), np.float32)}, "reference_landmarks: got no points, expected at l"),
        ({1: [[1.0]]}, "reference_features: got list, expected a NumPy array or one on a GPU"),
    ],
)
def test_wrong_arrays_raise(host_gpu, change, message):
    problem = make_problem(3, source=(4, 5), reference=(4, 5))
    for place, array in change.items():
        problem[place] = array
    with pytest.raises(InvalidInputError, match=message):
        attentive_morph(*problem)


def test_wrong_options_raise(host_gpu):
    problem = make_problem(3, source=(4, 5), reference=(4, 5))
    with pytest.raises(InvalidInputError, match="precision: got 'fp8', expected 'tf32' or 'ieee'"):
        attentive_morph(*problem, precision="fp8")
    with pytest.raises(InvalidInputError, match="out: got a NumPy array, expected one on the GPU"):
        attentive_morph(*problem, out=np.zeros((1, 2, 4, 5), np.float32))
