import numpy as np
import pytest

from makeup_kernels import Factor, InvalidInputError, Pigment, Shine, paint_layers
from makeup_kernels.paint_layers.reference import paint_layers_reference

LIGHT = np.array([0.6, 0.8, 0.9], np.float32)
BASE = 0.3


def make_ground(shape=(33, 47), seed=0):
    """Skin with deep shadow, reflections and noise."""
    rng = np.random.default_rng(seed)
    shading = np.exp(rng.uniform(-4, 1, (*shape, 1)))
    ground = shading * rng.uniform(0.2, 0.5, (*shape, 3)) * LIGHT
    return np.clip(ground, 0, 1).astype(np.float32)


def some(shape, rng, low=0.0, high=1.0):
    return rng.uniform(low, high, shape).astype(np.float32)


def all_layers(shape, seed=1):
    """Every kind of layer, flat and varying, weak and beyond 1."""
    rng = np.random.default_rng(seed)
    crimson, white = np.float32([0.02, 0.01, 0.45]), np.float32([0.9, 0.95, 1.0])
    rows, top = (shape[0] + 1) // 2, shape[0] // 3
    holes = some(shape, rng) * (some(shape, rng) > 0.5)
    return [
        Factor(some(shape, rng, 0.5, 1.6)),
        Pigment(holes, crimson, amount=0.6, hiding=0.4, leveling=0.3),
        Factor(some((3, *shape), rng, -0.1, 1.2)),
        Pigment(some(shape, rng, 0, 1.3), some((3, *shape), rng), amount=1.5, leveling=0.2),
        Shine(some(shape, rng, 0, 0.3), white),
        Pigment(np.zeros(shape, np.float32), white, amount=1.2),
        Shine(some(shape, rng, 0, 0.1), crimson),
        Pigment(some((rows, shape[1]), rng), some((3, rows, shape[1]), rng), 0.8, 0.3, 0.1, top),
        Shine(some((shape[0] - top, shape[1]), rng, 0, 0.2), white, top),
        Pigment(np.zeros((0, shape[1]), np.float32), white),
    ]


def assert_follows_formula(change, bare, layers, light=LIGHT, base=BASE):
    """Within twice the error of plain float32, plus four units in the last place.

    A gain within that of the least that is kept may go either way.
    """
    exact = paint_layers_reference(bare, light, base, layers)
    plain = paint_layers_reference(bare, light, base, layers, np.float32)
    assert change.dtype == np.float32
    assert change.shape == exact.shape
    error = np.abs(change - exact)
    allowed = 2 * np.abs(plain - exact).max() + 4 * np.spacing(np.float32(np.abs(exact).max()))
    assert allowed < 1e-3 * max(np.abs(exact).max(), 1)
    flipped = ((change == 0).all(axis=0) != (exact == 0).all(axis=0)) & (
        np.maximum(np.abs(change), np.abs(exact))[:3].max(axis=0) < 6.1e-4
    )
    assert flipped.mean() < 0.02
    assert error[:, ~flipped].max() <= allowed


@pytest.mark.parametrize("shape", [(33, 47), (1, 1), (2, 3), (5, 256), (16, 16), (3, 700)])
def test_follows_the_formula(isa, shape):
    bare, layers = make_ground(shape), all_layers(shape)
    before = bare.copy()
    assert_follows_formula(paint_layers(bare, LIGHT, BASE, layers), bare, layers)
    assert np.array_equal(bare, before)


@pytest.mark.parametrize("number", range(len(all_layers((1, 1)))))
def test_each_layer_alone(isa, number):
    bare = make_ground()
    layer = [all_layers(bare.shape[:2])[number]]
    assert_follows_formula(paint_layers(bare, LIGHT, BASE, layer), bare, layer)


@pytest.mark.parametrize("amount", [0.0, 0.4, 1.0, 1.25, 1.5])
@pytest.mark.parametrize("hiding", [0.0, 0.5, 1.0])
def test_amounts_and_hiding(isa, amount, hiding):
    bare = make_ground()
    rng = np.random.default_rng(3)
    layers = [Pigment(some(bare.shape[:2], rng), np.float32([0.7, 0.5, 0.9]), amount, hiding, 0.5)]
    assert_follows_formula(paint_layers(bare, LIGHT, BASE, layers), bare, layers)


def test_nothing_changes_without_layers_or_opacity(isa):
    bare = make_ground()
    bare[:] = np.clip(bare, 0.05, None)
    none = Pigment(np.zeros(bare.shape[:2], np.float32), LIGHT, leveling=0.3)
    for layers in ([], [none], [none, none]):
        assert not paint_layers(bare, LIGHT, BASE, layers).any()


def test_border_stays(isa):
    bare = make_ground()
    full = Pigment(np.ones(bare.shape[:2], np.float32), np.float32([0.02, 0.02, 0.5]))
    change = paint_layers(bare, LIGHT, BASE, [full])
    assert not change[:, [0, -1]].any()
    assert not change[:, :, [0, -1]].any()
    assert (np.abs(change[:3, 1:-1, 1:-1]).max(axis=0) > 0).mean() > 0.9


def test_paint_follows_the_light(isa):
    """Another brightness of both ground and light: the same gains."""
    bare, shape = make_ground(), (33, 47)
    bright = paint_layers(bare, LIGHT, BASE, all_layers(shape))
    dim = paint_layers(0.25 * bare, 0.25 * LIGHT, 0.25 * BASE, all_layers(shape))
    np.testing.assert_allclose(dim, bright, atol=1e-4 * np.abs(bright).max())


def test_black_and_white_grounds_are_finite(isa):
    bare = np.zeros((9, 21, 3), np.float32)
    bare[:, 10:] = 1.0
    layers = all_layers(bare.shape[:2])
    change = paint_layers(bare, LIGHT, 1e-4, layers)
    assert np.isfinite(change).all()
    assert_follows_formula(change, bare, layers, base=1e-4)


def test_strided_inputs_give_the_same_bits(isa):
    bare, layers = make_ground(), all_layers((33, 47))
    expected = paint_layers(bare, LIGHT, BASE, layers)
    planes = np.ascontiguousarray(bare.transpose(2, 0, 1))
    layers[1] = layers[1]._replace(opacity=np.repeat(layers[1].opacity, 2, axis=1)[:, ::2])
    assert np.array_equal(paint_layers(planes.transpose(1, 2, 0), LIGHT, BASE, layers), expected)


def test_empty_ground(isa):
    assert paint_layers(np.zeros((0, 5, 3), np.float32), LIGHT, BASE, []).shape == (6, 0, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bare": np.zeros((4, 5, 3))}, r"bare: got float64 \(4, 5, 3\), expected float32"),
        ({"light": np.zeros(3, np.float32)}, r"light, base: .* expected finite numbers above 0"),
        ({"light": np.float32([1, np.nan, 1])}, "light, base: .* expected finite numbers above 0"),
        ({"base": 0.0}, r"light, base: got .* and 0.0, expected finite numbers above 0"),
        (
            {"layers": [Pigment(np.zeros((4, 6), np.float32), LIGHT)]},
            r"layers\[0\].opacity: got float32 \(4, 6\), expected float32 \(n, 5\)",
        ),
        (
            {"layers": [Pigment(np.zeros((2, 5), np.float32), LIGHT, top=3)]},
            r"layers\[0\].top: got 3 with 2 rows, expected rows of the ground's 4",
        ),
        (
            {"layers": [Shine(np.zeros((4, 5), np.float32), np.zeros((3, 4, 5), np.float32))]},
            r"layers\[0\].color: got float32 \(3, 4, 5\), expected float32 \(3\)",
        ),
        (
            {"layers": [Pigment(np.zeros((4, 5), np.float32), np.zeros((3, 4, 6), np.float32))]},
            r"layers\[0\].color: got float32 \(3, 4, 6\), expected float32 \(3, 4, 5\)",
        ),
        (
            {"layers": [Factor(np.zeros((2, 4, 5), np.float32))]},
            r"layers\[0\].values: got float32 \(2, 4, 5\), expected float32 \(3, 4, 5\)",
        ),
        (
            {"layers": [Shine(np.zeros((4, 5), np.float32), np.zeros(4, np.float32))]},
            r"layers\[0\].color: got float32 \(4,\), expected float32 \(3\)",
        ),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"bare": np.zeros((4, 5, 3), np.float32), "light": LIGHT, "base": BASE}
    with pytest.raises(InvalidInputError, match=message):
        paint_layers(**{**arguments, "layers": [], **change})
