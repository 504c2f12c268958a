"""Metrics against independent figures; sheets and curves."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from makeup_training.checkpoints import CheckpointError
from makeup_training.trainer.metrics import (
    LPIPS,
    FrechetDistance,
    LearnedMetrics,
    Sample,
    frechet,
    measure,
    to_picture,
)
from makeup_training.trainer.pictures import curves, sheet


def sample(result, truth, given=None):
    regions = torch.zeros(1, 16, 16, dtype=torch.uint8)
    regions[:, 4:8, 4:8] = 1
    regions[:, 8:, :] = 2
    return Sample("transfer", given if given is not None else truth, None, result, truth, regions)


def grey(value):
    return torch.full((1, 3, 16, 16), value / 127.5 - 1)


def test_perfect_result():
    figures = measure([sample(grey(90), grey(90))])
    assert figures["transfer/psnr"] == 60
    assert figures["transfer/ssim"] == pytest.approx(1)
    assert figures["transfer/delta_e_lips"] == 0
    assert "transfer/delta_e_eyes" not in figures  # there are none


def test_psnr_and_delta_e_of_known_colours():
    # sRGB grey 119 and 124: L* 50.03 and 51.99, where CIEDE2000 of greys is dL / S_L
    figures = measure([sample(grey(124), grey(119), given=grey(119))])
    assert figures["transfer/psnr"] == pytest.approx(10 * np.log10(255**2 / 25), abs=1e-3)
    lightness = [116 * np.cbrt(((v / 255 + 0.055) / 1.055) ** 2.4) - 16 for v in (119, 124)]
    middle = (np.mean(lightness) - 50) ** 2
    expected = (lightness[1] - lightness[0]) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    assert figures["transfer/delta_e_lips"] == pytest.approx(expected, abs=0.01)
    assert figures["transfer/before_delta_e_skin"] == 0


def test_samples_without_truth_are_left_out():
    assert measure([sample(grey(1), grey(2))._replace(truth=None)]) == {}


def test_to_picture_clamps():
    assert to_picture(torch.tensor([[[-2.0]], [[0.0]], [[2.0]]])).tolist() == [[[0, 128, 255]]]


def test_frechet_against_scipy():
    rng = np.random.default_rng(0)
    sets = [rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + i for i in range(2)]
    (m1, c1), (m2, c2) = ((s.mean(0), np.cov(s, rowvar=False)) for s in sets)
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-6)


class Features(torch.nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((2, 3))


def test_fid_from_a_torchscript_file(tmp_path):
    path = tmp_path / "inception.pt"
    torch.jit.script(Features()).save(str(path))
    distance = FrechetDistance(path)
    images = torch.rand(6, 3, 8, 8) * 2 - 1
    assert distance(images, images) == pytest.approx(0, abs=1e-3)
    # equal spreads, means moved by 10 levels in each channel
    moved = images.clone() * 0
    shifted = moved + 10 / 127.5
    assert distance(shifted, moved) == pytest.approx(300, rel=0.02)
    with pytest.raises(CheckpointError, match="not a TorchScript file"):
        FrechetDistance(__file__)


@pytest.fixture
def lpips_files(tmp_path):
    """Random weights in the two published forms."""
    torch.manual_seed(0)
    tensors, channels, index = {}, 3, 0
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            tensors[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3) * 0.05
            tensors[f"features.{index}.bias"] = torch.zeros(width)
            channels, index = width, index + 2
        index += 1
    torch.save(tensors, tmp_path / "vgg.pth")
    linear = {
        f"lin{i}.model.1.weight": torch.full((1, c, 1, 1), 1.0)
        for i, c in enumerate((64, 128, 256, 512, 512))
    }
    torch.save(linear, tmp_path / "lin.pth")
    return {"lpips_vgg": str(tmp_path / "vgg.pth"), "lpips_linear": str(tmp_path / "lin.pth")}


def test_lpips_is_zero_for_equal_and_grows(lpips_files):
    distance = LPIPS(**{k.removeprefix("lpips_"): v for k, v in lpips_files.items()})
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    near, far = x + 0.02 * torch.randn_like(x), torch.rand_like(x) * 2 - 1
    assert distance(x, x).tolist() == [0, 0]
    assert 0 < float(distance(x, near).mean()) < float(distance(x, far).mean())


def test_learned_metrics_are_left_out_without_weights(lpips_files):
    none = {"lpips_vgg": "", "lpips_linear": "", "inception": ""}
    pair = [sample(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))]
    assert LearnedMetrics(none).measure(pair) == {}
    figures = LearnedMetrics({**none, **lpips_files}).measure(pair)
    assert list(figures) == ["transfer/lpips"]


def test_sheet_has_a_column_for_each_picture():
    one = sample(grey(10), grey(200))
    picture = sheet([one, one])
    assert picture.shape == (18 + 2 * 16, 3 * 16, 3)  # given, result, truth
    assert (picture[18:34, 16:32] == 10).all()
    without = sheet([one._replace(truth=None)])
    assert without.shape[1] == 2 * 16


def test_curves_rise_to_the_right():
    picture = curves({"a": [(0, 1.0), (10, 2.0)]}, "title")
    line = np.zeros(picture.shape[:2], bool)
    line[60:290, 56:460] = picture[60:290, 56:460, 2] < 150  # below the legend
    columns = np.nonzero(line.any(0))[0]
    first, last = columns[0], columns[-1]
    assert np.nonzero(line[:, first])[0].mean() > np.nonzero(line[:, last])[0].mean()
