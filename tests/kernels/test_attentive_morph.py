import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pytest

from makeup_kernels import MorphReference, _cpu, attentive_morph
from makeup_kernels.attentive_morph.reference import attentive_morph_reference

FULL, WIDE, CELL = (64, 64), (48, 80), (1, 1)


class Problem(NamedTuple):
    source_features: np.ndarray
    reference_features: np.ndarray
    source_landmarks: np.ndarray
    reference_landmarks: np.ndarray
    source_regions: np.ndarray
    reference_regions: np.ndarray
    values: np.ndarray

    def reference(self, **options) -> MorphReference:
        return MorphReference(
            self.reference_features,
            self.reference_landmarks,
            self.reference_regions,
            self.values,
            **options,
        )

    def morph(self, reference: MorphReference, **options) -> np.ndarray:
        return reference.morph(
            self.source_features, self.source_landmarks, self.source_regions, **options
        )


def make_problem(
    channels=8, values=2, source=FULL, reference=FULL, *, points=68, seed=0, unrelated=False
) -> Problem:
    rng = np.random.default_rng(seed)

    def region_map(grid):
        return rng.choice(5, size=grid, p=[0.6, 0.03, 0.25, 0.1, 0.02]).astype(np.uint8)

    def floats(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    landmarks = 128 + 35 * floats(points, 2)
    other = landmarks + 5 * floats(points, 2)
    if unrelated:
        other = 128 - landmarks / 2 + 30 * floats(points, 2)
    return Problem(
        floats(channels, *source),
        floats(channels, *reference),
        landmarks,
        other,
        region_map(source),
        region_map(reference),
        floats(values, *reference),
    )


def assert_as_exact_as_float32(result, problem, **options):
    """Error against float64 at most twice that of the plain dense float32 computation."""
    exact = attentive_morph_reference(*problem, **options)
    plain = attentive_morph_reference(*problem, **options, dtype=np.float32)
    ulp = np.finfo(np.float32).eps * max(1.0, float(np.abs(exact).max()))
    assert result.dtype == np.float32
    assert result.shape == exact.shape
    assert np.abs(result - exact).max() <= 2 * np.abs(plain - exact).max() + ulp


@lru_cache(maxsize=2)
def problems_with_errors(channels, points, source, reference):
    """Problems of 12 value planes, each with its float64 result and the error of plain float32.

    One cell rounds well or badly by chance, so a grid of one cell is drawn several times.
    """
    single = CELL in (source, reference)
    found = []
    for seed in range(8 if single else 1):
        problem = make_problem(channels, 12, source, reference, points=points, seed=seed)
        if single:
            problem.source_regions[0, 0] = problem.reference_regions[0, 0] = 2
        exact = attentive_morph_reference(*problem)
        plain = attentive_morph_reference(*problem, dtype=np.float32)
        found.append((problem, exact, plain - exact))
    return found


@pytest.mark.parametrize("values", [1, 2, 3, 12])
@pytest.mark.parametrize("channels", [0, 1, 32, 256])
@pytest.mark.parametrize("points", [5, 68, 478])
@pytest.mark.parametrize(
    "grids",
    [(FULL, FULL), (WIDE, WIDE), (FULL, WIDE), (CELL, FULL), (FULL, CELL), (CELL, CELL)],
)
def test_error_stays_within_twice_that_of_float32(channels, points, grids, values, monkeypatch):
    draws = problems_with_errors(channels, points, *grids)
    ulp = np.finfo(np.float32).eps * max(1.0, *(np.abs(exact).max() for _, exact, _ in draws))
    plain = np.stack([error[:values] for _, _, error in draws])
    for isa in _cpu.available_isas():
        monkeypatch.setenv("MAKEUP_CPU_ISA", isa)
        results = [
            attentive_morph(*problem[:-1], problem.values[:values]) for problem, _, _ in draws
        ]
        errors = np.stack(
            [result - exact[:values] for result, (_, exact, _) in zip(results, draws, strict=True)]
        )
        assert errors.shape == (len(draws), values, *grids[0])
        assert np.sqrt(np.mean(errors**2)) <= 2 * np.sqrt(np.mean(plain**2)) + ulp, isa
        if CELL not in grids:
            assert np.abs(errors).max() <= 2 * np.abs(plain).max() + ulp, isa


@pytest.mark.parametrize("temperature", [1.0, 200.0, 2000.0])
@pytest.mark.parametrize("visual_weight", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("pixel_stride", [1, 2.5, 4])
def test_options_follow_the_formula(isa, temperature, visual_weight, pixel_stride):
    problem = make_problem(source=(20, 30), reference=(25, 17), seed=3)
    options = {
        "temperature": temperature,
        "visual_weight": visual_weight,
        "pixel_stride": pixel_stride,
    }
    assert_as_exact_as_float32(attentive_morph(*problem, **options), problem, **options)


@pytest.mark.parametrize("channels", [0, 32])
def test_other_cells_count_in_the_denominator(isa, channels):
    problem = make_problem(channels, unrelated=True)
    exact = attentive_morph_reference(*problem)
    dropped = attentive_morph_reference(*problem, keep_other_regions=False)
    assert np.abs(exact - dropped).max() > 0.1
    assert_as_exact_as_float32(attentive_morph(*problem), problem)


def test_whole_grid_of_one_region_has_no_other_cells(isa):
    """All logits near −200: with no e⁰ term the soft-max must still be one of the logits alone."""
    problem = make_problem(4, source=(9, 9), reference=(13, 7), seed=5)
    problem = problem._replace(
        source_landmarks=problem.source_landmarks + 2000,
        reference_landmarks=problem.reference_landmarks - 2000,
        source_regions=np.full((9, 9), 7, np.uint8),
        reference_regions=np.full((13, 7), 7, np.uint8),
    )
    result = attentive_morph(*problem)
    assert np.abs(result).min() > 1e-6
    assert_as_exact_as_float32(result, problem)
    problem.reference_regions[0, 0] = 0  # one e⁰ against e⁻²⁰⁰
    assert np.abs(attentive_morph(*problem)).max() == 0


def test_full_grid_of_one_region(isa):
    problem = make_problem(16, source=WIDE, reference=WIDE)
    problem.source_regions[:] = 1
    problem.reference_regions[:] = 1
    assert_as_exact_as_float32(attentive_morph(*problem), problem)


def test_regions_of_one_side_empty_maps_and_high_ids(isa):
    problem = make_problem(4, source=(12, 10), reference=(10, 12), seed=8)
    problem.source_regions[:] = 0
    problem.source_regions[:3] = 2  # both sides
    problem.source_regions[3:5] = 9  # source only
    problem.source_regions[11, 9] = 255  # one cell on either side
    problem.reference_regions[:] = 0
    problem.reference_regions[4:] = 2
    problem.reference_regions[:2] = 30  # reference only
    problem.reference_regions[3, 3] = 255
    result = attentive_morph(*problem)
    assert_as_exact_as_float32(result, problem)
    assert np.array_equal(result[0] != 0, np.isin(problem.source_regions, (2, 255)))

    nothing = np.zeros((10, 12), np.uint8)
    assert not attentive_morph(*problem._replace(reference_regions=nothing)).any()
    nothing = np.zeros((12, 10), np.uint8)
    assert not attentive_morph(*problem._replace(source_regions=nothing)).any()


def test_cell_on_the_only_landmark_has_no_direction(isa):
    """‖P‖ = 0: the position part is 0, as in the published code, not NaN."""
    problem = make_problem(0, source=(3, 3), reference=(3, 3), points=1)
    problem.source_landmarks[:] = 4
    problem.source_regions[:] = problem.reference_regions[:] = 1
    result = attentive_morph(*problem)
    np.testing.assert_allclose(result, attentive_morph_reference(*problem), atol=1e-5)
    np.testing.assert_allclose(result[:, 1, 1], problem.values.mean(axis=(1, 2)), atol=1e-6)


def test_same_bits_in_every_run_and_for_any_number_of_threads(isa, many_cores, monkeypatch):
    problem = make_problem(33, 12)
    reference = problem.reference()
    expected = problem.morph(reference, threads=1)
    for threads in (1, 2, 3, 7):
        assert problem.morph(reference, threads=threads).tobytes() == expected.tobytes()
    monkeypatch.setenv("MAKEUP_THREADS", "2")
    assert problem.morph(reference).tobytes() == expected.tobytes()
    assert attentive_morph(*problem).tobytes() == expected.tobytes()


def test_strided_and_read_only_inputs(isa):
    plain = make_problem(6, source=(16, 20), reference=(24, 18))
    expected = attentive_morph(*plain)

    def turned(array):  # same numbers behind negative and non-unit strides
        padded = np.zeros([2 * n for n in array.shape[::-1]], array.dtype)
        view = padded.T[tuple(slice(None, None, -2) for _ in array.shape)]
        view[...] = array
        view.flags.writeable = False
        return view

    strided = Problem(*(turned(array) for array in plain))
    assert attentive_morph(*strided).tobytes() == expected.tobytes()

    raw = np.zeros(plain.values.nbytes + 1, np.uint8)[1:]
    unaligned = raw.view(np.float32).reshape(plain.values.shape)
    unaligned[...] = plain.values
    assert attentive_morph(*plain._replace(values=unaligned)).tobytes() == expected.tobytes()


def test_out_is_written_and_returned(isa):
    problem = make_problem(source=(16, 20))
    reference = problem.reference()
    expected = problem.morph(reference)
    holder = np.full((16, 20, 2, 2), np.nan, np.float32)
    out = holder[..., 0].transpose(2, 0, 1)
    assert problem.morph(reference, out=out) is out
    assert np.array_equal(out, expected)
    assert np.isnan(holder[..., 1]).all()


def test_reference_keeps_copies_and_is_immutable():
    problem = make_problem(4)
    reference = problem.reference()
    expected = problem.morph(reference)
    for array in (problem.reference_features, problem.values, problem.reference_landmarks):
        array[...] = 0
    assert np.array_equal(problem.morph(reference), expected)
    assert (reference.channels, reference.landmark_count, reference.value_count) == (4, 68, 2)
    with pytest.raises(AttributeError, match="MorphReference is immutable: cannot set 'channels'"):
        reference.channels = 3


def test_threads_share_a_reference():
    problem = make_problem(16)
    reference = problem.reference()
    expected = problem.morph(reference)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: problem.morph(reference), range(16)))
    assert all(np.array_equal(result, expected) for result in results)


def test_releases_the_gil(monkeypatch):
    """With a switch interval of minutes, another thread runs only when the kernel lets go."""
    monkeypatch.setenv("MAKEUP_CPU_ISA", "baseline")
    problem = make_problem(256)
    problem.source_regions[:] = problem.reference_regions[:] = 1
    reference = problem.reference()
    started, finished = threading.Event(), threading.Event()

    def work():
        started.set()
        problem.morph(reference, threads=1)
        finished.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        started.wait()
        ran_meanwhile = not finished.is_set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ran_meanwhile


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_extra_memory_stays_below_8_mb():
    """One region over the whole 64×64 grid, C = 256: packed keys and scratch, no 4096 × 4096."""
    script = """
import numpy as np
from makeup_kernels import attentive_morph

def problem(n):
    features = np.ones((256, n, n), np.float32)
    marks = np.arange(136, dtype=np.float32).reshape(68, 2)
    regions = np.ones((n, n), np.uint8)
    return features, features, marks, marks, regions, regions, np.ones((2, n, n), np.float32)

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

attentive_morph(*problem(8), threads=2)
large = problem(64)
before = peak()
attentive_morph(*large, threads=2)
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 * 1024


def test_non_finite_features_show_in_the_result(isa):
    problem = make_problem(2, source=(8, 8), reference=(8, 8))
    problem.source_regions[:] = problem.reference_regions[:] = 1
    problem.source_features[0, 2, 3] = np.nan
    result = attentive_morph(*problem)
    assert np.isnan(result[:, 2, 3]).all()
    assert np.isnan(result).sum() == 2
