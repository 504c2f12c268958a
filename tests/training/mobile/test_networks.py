"""The networks of the face, of lips and of eyes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_training.mobile.closeups import (
    SHOWN,
    WINDOWS,
    CloseUpPainter,
    CloseUpReader,
    cut,
)
from makeup_training.mobile.networks import (
    CODES,
    GAMMA,
    by_region,
    cell_means,
    cheek_light,
    evidence,
    log_light,
    mix,
    planes,
    region_shares,
    spread,
    unevenness,
    weights_of,
)
from makeup_training.mobile.whole import Painter, Reader


def test_an_untrained_painter_changes_nothing():
    regions = torch.from_numpy(template_regions()[None].copy()).repeat(2, 1, 1)
    changes = Painter()(torch.rand(2, 3, 256, 256), regions, torch.randn(2, CODES, 64, 64))
    for change, grid in zip(changes, CHANGE_GRIDS.values(), strict=True):
        assert change.shape == (2, 6, grid.rows, grid.columns)
        assert not change.any()


def test_sizes_are_those_of_a_mobile_model():
    parameters = sum(p.numel() for n in (Reader(), Painter()) for p in n.parameters())
    assert parameters <= 1_500_000
    from torch.utils.flop_counter import FlopCounterMode

    painter = Painter().eval()
    regions = torch.zeros(1, 256, 256, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        painter(torch.zeros(1, 3, 256, 256), regions, torch.zeros(1, CODES, 64, 64))
    assert counter.get_total_flops() / 2 <= 0.8e9


def test_region_shares_add_up():
    regions = torch.from_numpy(template_regions()[None].copy())
    shares = region_shares(regions)
    assert shares.shape == (1, 4, 64, 64)
    assert shares.sum(1).max() <= 1
    for region in (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS):
        wanted = (regions == region).float().mean()
        assert shares[0, region - 1].mean() == pytest.approx(float(wanted), rel=0.1)


def test_cells_are_of_the_region_that_the_morph_takes_them_for(turned_face):
    regions = torch.from_numpy(turned_face.regions[None].copy())
    values = torch.randn(1, 2, 128, 128, dtype=torch.float64)
    found = cell_means(values, regions)
    rng = np.random.default_rng(0)
    kinds = set()
    for r, c in rng.integers(0, 64, (300, 2)):
        mine = regions[0, 4 * r, 4 * c]
        kinds.add(int(mine))
        quarters = [
            values[0, :, 2 * r + i, 2 * c + j]
            for i in (0, 1)
            for j in (0, 1)
            if regions[0, 4 * r + 2 * i, 4 * c + 2 * j] == mine
        ]
        assert torch.allclose(found[0, :, r, c], torch.stack(quarters).mean(0))
    assert len(kinds) >= 3
    own = by_region(torch.arange(1.0, 5).view(1, 4, 1, 1).expand(1, 4, 64, 64), regions)
    grid = regions[0, ::4, ::4]
    of_skin, of_brows = 1.0 * (grid == Region.SKIN), 3.0 * (grid == Region.BROWS)
    assert torch.equal(own[0, 0], of_skin + of_brows)


def test_brows_are_painted_to_their_edge_and_not_beyond():
    regions = torch.full((1, 256, 256), int(Region.SKIN), dtype=torch.uint8)
    regions[:, 101:139, 79:151] = Region.BROWS
    asked = torch.zeros(1, 4, 64, 64)
    asked[:, 2][regions[:, ::4, ::4] == Region.BROWS] = 1.0
    shares = F.avg_pool2d(planes(regions), 2)
    change = mix(spread(asked, regions), weights_of(shares))
    assert change.shape == (1, 2, 128, 128)
    brows = shares[:, 3]
    assert change[:, 0][brows == 1].min() > 0.9
    assert change[:, 0][brows == 0].abs().max() == 0
    assert change[:, 1].abs().max() == 0
    edge = (brows > 0) & (brows < 1)
    assert edge.any()
    assert (change[:, 0][edge] / brows[edge]).min() > 0.9
    assert (change[:, 0][edge] <= brows[edge] + 1e-6).all()


def test_evidence_forgets_exposure():
    regions = torch.from_numpy(template_regions()[None].copy())
    image = torch.rand(1, 3, 256, 256) * 0.5 + 0.4
    relative = evidence(image, regions)[:, :3]
    darker = evidence(image * 0.5 ** (1 / GAMMA), regions)[:, :3]
    assert torch.allclose(relative, darker, atol=0.05)
    skin = region_shares(regions)[0, 1] > 0.5
    assert relative[0, :, skin].mean().abs() < 0.02


def test_unevenness_is_of_the_skin_relative_to_its_surroundings():
    skin = torch.zeros(1, 1, 128, 128)
    skin[..., 20:100, 20:100] = 1
    light = torch.full((1, 3, 128, 128), -1.5)
    light[..., :20, :] = 3.0  # not skin: must not count
    assert unevenness(light, skin).abs().max() < 1e-5
    light[..., 60:64, 60:64] += 0.5
    found = unevenness(light, skin)
    assert found[..., 61, 61].min() > 0.4
    assert found[..., 66, 66].max() < 0
    assert found[..., 90, 90].abs().max() < 1e-5
    assert found[..., :20, :].abs().max() == 0


@pytest.mark.parametrize("region", WINDOWS)
def test_windows_hold_the_template_and_are_symmetric(region):
    grid = WINDOWS[region]
    regions = torch.from_numpy(template_regions()[None].copy())
    assert (cut(region, regions) == region).sum() == (regions == region).sum()
    assert planes(cut(region, regions))[:, SHOWN[region]].sum() == (cut(region, regions) > 0).sum()
    assert 2 * grid.left + grid.columns == 256
    assert all(side % 8 == 0 for side in (grid.top, grid.left, grid.rows, grid.columns))


def test_the_cheeks_say_how_bright_the_light_is():
    """Not the shadow on one side of the face, not its highlights, not what is no skin."""
    torch.manual_seed(0)
    regions = torch.from_numpy(template_regions()[None].copy())
    image = 0.5 + 0.01 * torch.randn(1, 3, 256, 256)
    even = cheek_light(image, regions)
    assert torch.allclose(even, log_light(torch.full((1, 3, 1, 1), 0.5)), atol=0.02)
    spoilt = image.clone()
    spoilt[..., :80] *= 0.5
    spoilt[..., 120:132, 120:132] = 1.0
    spoilt = torch.where(regions[:, None] == Region.SKIN, spoilt, 0.9)
    assert torch.allclose(cheek_light(spoilt, regions), even, atol=0.1)
    assert torch.isfinite(cheek_light(image, torch.zeros_like(regions))).all()


@pytest.mark.parametrize("region", WINDOWS)
def test_a_look_of_a_feature_is_the_same_in_all_its_cells(region):
    torch.manual_seed(0)
    regions = torch.from_numpy(template_regions()[None].copy())
    landmarks = torch.from_numpy(template_landmarks()[None])
    image = torch.rand(1, 3, 256, 256)
    reader = Reader().eval()
    with torch.no_grad():
        codes = reader(image, regions, landmarks)
        feature = reader.lips if region == Region.LIPS else reader.eyes
        cheeks = cheek_light(image, regions)
        alone = feature(cut(region, image), cut(region, regions), cheeks, landmarks)
    cells = regions[0, ::4, ::4] == region
    assert cells.sum() > 20
    assert torch.allclose(codes[0][:, cells], alone[0, :, 0].expand(-1, int(cells.sum())))


@pytest.mark.parametrize("region", WINDOWS)
def test_a_feature_is_painted_by_its_own_codes_only(region):
    torch.manual_seed(0)
    painter = Painter().eval()
    name = region.name.lower()
    torch.nn.init.normal_(getattr(painter, name).head.weight)
    regions = torch.from_numpy(template_regions()[None].copy())
    image = torch.rand(1, 3, 256, 256)
    codes = torch.randn(1, CODES, 64, 64)
    own = (regions[:, None, ::4, ::4] == region).float()
    part = list(CHANGE_GRIDS).index(name)
    with torch.no_grad():
        first = painter(image, regions, codes)
        elsewhere = painter(image, regions, codes * own)
        here = painter(image, regions, codes + own)
    assert torch.allclose(first[part], elsewhere[part], atol=1e-6)
    assert not torch.allclose(first[part], here[part])
    assert torch.equal(first[0], here[0])


@pytest.mark.parametrize("region", WINDOWS)
def test_a_missing_feature_is_read_and_painted_without_nan(region):
    image, cheeks = torch.rand(1, 3, 256, 256), torch.zeros(1, 3, 1, 1)
    regions = torch.zeros(1, 256, 256, dtype=torch.uint8)
    pixels, window_regions = cut(region, image), cut(region, regions)
    landmarks = torch.from_numpy(template_landmarks()[None])
    with torch.no_grad():
        codes = CloseUpReader(region).eval()(pixels, window_regions, cheeks, landmarks)
        change = CloseUpPainter(region).eval()(pixels, window_regions, cheeks, codes)
    assert torch.isfinite(codes).all()
    assert torch.isfinite(change).all()
