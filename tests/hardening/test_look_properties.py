"""Properties of any look: files preserve it, mixing averages it, regions come from their look."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import makeup_sdk
from makeup_sdk import InvalidInputError, Look, Region
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.facts import MODELS

BOUNDED = settings(max_examples=12, deadline=None, derandomize=True, database=None)
DEMO = Path(makeup_sdk.__file__).parent / "assets" / "demo"

regions = st.frozensets(st.sampled_from(MAKEUP_REGIONS), min_size=1)
shares = st.floats(0.01, 100)


@pytest.fixture(scope="module", params=[name for name in MODELS if name != "products"])
def looks(request) -> tuple[Look, Look, Look]:
    """Two looks of photos for one model, and their makeup mixed."""
    red, teal = (
        Look.from_photo(DEMO / name, model=request.param)
        for name in ("red-classic.jpg", "teal-smoky.jpg")
    )
    return red, teal, Look.mix({red: 0.5, teal: 0.5})


def arrays(look: Look) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, float) for name, array in look.makeup.to_arrays().items()}


def assert_alike(look: Look, other: Look) -> None:
    """The same makeup, up to the rounding of levels and of half precision."""
    for name, array in arrays(look).items():
        close = np.isclose(array, arrays(other)[name], rtol=2e-3, atol=2e-3)
        rounded = np.abs(array - arrays(other)[name]) <= 1
        assert (
            close | (rounded if look.makeup.to_arrays()[name].dtype == np.uint8 else close)
        ).all()


@BOUNDED
@given(worn=regions, title=st.text(max_size=20), which=st.integers(0, 2))
def test_files_keep_looks(looks, worn, title, which):
    look = Look(looks[which].makeup, worn, title)
    again = Look.from_bytes(look.to_bytes(), "x.look")
    assert (again.regions, again.title) == (worn, look.title)
    assert all(character.isprintable() or character in "\u200c\u200d" for character in look.title)
    if title.isprintable():
        assert look.title == " ".join(title.split())
    assert again.makeup.kind == look.makeup.kind
    for name, array in look.makeup.to_arrays().items():
        np.testing.assert_array_equal(again.makeup.to_arrays()[name], array)
    assert again.to_bytes() == Look.from_bytes(again.to_bytes(), "x").to_bytes()


@BOUNDED
@given(share=shares, other=shares, factor=shares)
def test_shares_count_by_their_ratio(looks, share, other, factor):
    red, teal, _ = looks
    mixed = Look.mix({red: share, teal: other})
    assert mixed.regions == red.regions | teal.regions
    assert_alike(Look.mix({red: share * factor, teal: other * factor}), mixed)
    assert_alike(Look.mix({teal: other, red: share}), mixed)
    low, high = arrays(red), arrays(teal)
    for name, array in arrays(mixed).items():
        largest = np.maximum(np.abs(low[name]).max(), np.abs(high[name]).max())
        assert np.isfinite(array).all()
        assert np.abs(array).max() <= largest * 1.002 + 1


@BOUNDED
@given(share=shares)
def test_a_look_mixed_with_itself_or_nothing(looks, share):
    red, teal, mixed = looks
    for look in (red, mixed):
        assert_alike(Look.mix({look: share}), Look.mix({look: 1}))
        assert_alike(Look.mix({look: share, teal: 0}), Look.mix({look: 1}))
        alike = Look(look.makeup, look.regions, "the same")
        assert_alike(Look.mix({look: share, alike: 1}), Look.mix({look: 1}))


@BOUNDED
@given(
    bad=st.sampled_from((-1.0, float("nan"), float("inf"), -float("inf"), -1e-300)), share=shares
)
def test_other_shares_are_refused(looks, bad, share):
    red, teal, _ = looks
    with pytest.raises(InvalidInputError, match="mix: shares are "):
        Look.mix({red: share, teal: bad})
    with pytest.raises(InvalidInputError, match="mix: shares are "):
        Look.mix({red: 0, teal: 0})


@BOUNDED
@given(worn=regions, taken=regions)
def test_regions_are_a_sets_algebra(looks, worn, taken):
    red, teal, _ = looks
    parts = {region: red if region in worn else teal for region in MAKEUP_REGIONS}
    composed = Look.compose(**{region.name.lower(): look for region, look in parts.items()})
    assert composed.regions == frozenset(MAKEUP_REGIONS)
    assert composed.only(taken).regions == taken
    assert composed.only(worn).only(taken).regions == worn & taken
    below = red.only(worn).under(teal.only(taken))
    assert below.regions == worn | taken
    named = {region: (teal if region in taken else red) for region in worn | taken}
    same = Look.compose(**{Region(region).name.lower(): look for region, look in named.items()})
    assert_alike(below, same)
