"""Region histogram matching against a vectorised NumPy table, scikit-image and kornia."""

import numpy as np
import pytest

from makeup_kernels import RegionHistogram, match_region_histograms

exposure = pytest.importorskip(
    "skimage.exposure", reason="a peer needs scikit-image: pip install '.[dev]'"
)

REGIONS = (1, 2, 3)


def make_images(size):
    """Smooth images with noise, and a region map of lips, skin and eyes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size

    def image(mean):
        light = mean + 60 * (1 - (x - 0.4) ** 2 - (y - 0.5) ** 2)
        noise = rng.normal(0, 8, (size, size, 3))
        return np.clip(light[..., None] + noise, 0, 255).astype(np.uint8)

    regions = np.zeros((size, size), np.uint8)
    regions[((x - 0.5) / 0.3) ** 2 + ((y - 0.55) / 0.36) ** 2 < 1] = 2
    regions[((abs(x - 0.5) - 0.13) / 0.09) ** 2 + ((y - 0.43) / 0.06) ** 2 < 1] = 3
    regions[((x - 0.5) / 0.11) ** 2 + ((y - 0.72) / 0.05) ** 2 < 1] = 1
    return image(90), image(130), regions, np.ascontiguousarray(regions[:, ::-1])


def numpy_table(source, reference, source_regions, reference_regions):
    out = source.copy()
    values = np.arange(256)
    for region in REGIONS:
        here, there = source_regions == region, reference_regions == region
        if not here.any() or not there.any():
            continue
        mine, theirs = source[here], reference[there]
        for channel in range(3):
            share = np.bincount(mine[:, channel], minlength=256).cumsum() * len(theirs)
            target = np.bincount(theirs[:, channel], minlength=256).cumsum() * len(mine)
            first = np.maximum(np.searchsorted(target, share), 1)
            table = np.where(share >= target[0], first, values).astype(np.uint8)
            table[0], table[255] = 0, 255
            out[here, channel] = table[mine[:, channel]]
    return out


def scikit_image(source, reference, source_regions, reference_regions):
    out = source.copy()
    for region in REGIONS:
        here, there = source_regions == region, reference_regions == region
        out[here] = exposure.match_histograms(source[here], reference[there], channel_axis=-1)
    return out


def kornia_and_torch(source, reference, source_regions, reference_regions):
    """kornia matches one plane with another: called per region and channel, on prepared tensors."""
    torch = pytest.importorskip("torch", reason="a peer needs torch: pip install '.[train]'")
    matching = pytest.importorskip(
        "kornia.contrib.histogram_matching", reason="a peer needs kornia: pip install kornia"
    )
    pixels, other = (torch.from_numpy(image) for image in (source, reference))
    regions, other_regions = map(torch.from_numpy, (source_regions, reference_regions))

    def run():
        out = pixels.clone()
        for region in REGIONS:
            here, there = regions == region, other_regions == region
            mine, theirs = pixels[here], other[there]
            matched = [
                matching.histogram_matching(mine[:, channel], theirs[:, channel])
                for channel in range(3)
            ]
            out[here] = torch.stack(matched, dim=1).round().to(torch.uint8)
        return out.numpy()

    return run


@pytest.mark.parametrize("size", [256, 1024])
class TestMatch:
    @pytest.fixture(autouse=True)
    def group(self, benchmark, size):
        benchmark.group = f"match_region_histograms: {size}×{size}, 3 regions"

    def test_makeup_kernels(self, size, threads, measure):
        images = make_images(size)
        measure(lambda: match_region_histograms(*images, threads=threads), ours=True)

    def test_makeup_kernels_prepared(self, size, threads, measure):
        source, reference, source_regions, reference_regions = make_images(size)
        prepared = RegionHistogram(reference, reference_regions)
        out = np.empty_like(source)
        measure(lambda: prepared.match(source, source_regions, out, threads=threads))

    def test_numpy_table(self, size, threads, measure):
        images = make_images(size)
        result = measure(lambda: numpy_table(*images), rounds=10)
        assert np.array_equal(result, match_region_histograms(*images))

    def test_scikit_image(self, size, threads, measure):
        images = make_images(size)
        measure(lambda: scikit_image(*images), rounds=10)

    def test_kornia(self, size, threads, measure):
        images = make_images(size)
        result = measure(kornia_and_torch(*images), rounds=10)
        # kornia interpolates between levels, PSGAN's table does not
        assert np.abs(result.astype(int) - match_region_histograms(*images)).max() <= 3
