"""Metrics against ground truth: PSNR, SSIM, ΔE2000 by region; LPIPS and FID if given weights."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.nn import functional

from makeup_kernels import Region
from makeup_training.checkpoints import CheckpointError, read_tensors
from makeup_training.losses.perceptual import VGGFeatures

REGIONS = (Region.LIPS, Region.SKIN, Region.EYES)


class Sample(NamedTuple):
    """One task's results for a batch, for metrics and sheets.

    Attributes:
        task: such as `transfer`, `removal` or `swap_mouth`.
        given: float (B, 3, H, W) in [−1, 1], the input faces.
        example: the reference faces (makeup or parts), or None for tasks without.
        result: float (B, 3, H, W).
        truth: float (B, 3, H, W), or None if unknown.
        regions: integer (B, H, W), regions of `given`.
    """

    task: str
    given: Tensor
    example: Tensor | None
    result: Tensor
    truth: Tensor | None
    regions: Tensor


def to_picture(image: Tensor) -> NDArray[np.uint8]:
    """Float (3, H, W) in [−1, 1] to uint8 (H, W, 3), RGB."""
    values = ((image.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return values.byte().permute(1, 2, 0).numpy()


def measure(samples: Sequence[Sample]) -> dict[str, float]:
    """Means over all faces with known truth.

    Returns:
        by `TASK/FIGURE`: `psnr` in dB, `ssim`, `delta_e_lips`, `delta_e_skin`, `delta_e_eyes`
        (CIEDE2000 to the truth), and `before_delta_e_…`: the same for the unchanged input.
    """
    figures: dict[str, list[float]] = {}
    for sample in samples:
        if sample.truth is None:
            continue
        for given, result, truth, regions in zip(
            sample.given, sample.result, sample.truth, sample.regions, strict=True
        ):
            values = _compare(
                to_picture(given), to_picture(result), to_picture(truth), regions.cpu().numpy()
            )
            for name, value in values.items():
                figures.setdefault(f"{sample.task}/{name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in sorted(figures.items())}


def _compare(
    given: NDArray[np.uint8],
    result: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    regions: NDArray[np.integer],
) -> dict[str, float]:
    figures = {
        # a perfect picture gives infinity; at 60 dB the error is below one rounding step
        "psnr": min(60.0, float(peak_signal_noise_ratio(truth, result)))
        if (truth != result).any()
        else 60.0,
        "ssim": float(structural_similarity(truth, result, channel_axis=2)),
    }
    lab_truth = rgb2lab(truth)
    for prefix, picture in (("", result), ("before_", given)):
        distance = deltaE_ciede2000(lab_truth, rgb2lab(picture))
        for region in REGIONS:
            here = regions == region
            if here.any():
                figures[f"{prefix}delta_e_{region.name.lower()}"] = float(distance[here].mean())
    return figures


class LPIPS(nn.Module):
    """Learned perceptual distance on VGG-16 (Zhang et al., 2018).

    Args:
        vgg: path of VGG-16 in torchvision's format.
        linear: path of LPIPS' linear weights, keys `lin{0..4}.model.1.weight` (1, C, 1, 1).

    Raises:
        CheckpointError: an unreadable or unfitting file.
    """

    RELU_1_TO_5 = (3, 8, 15, 22, 29)
    SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

    def __init__(self, vgg: str | os.PathLike[str], linear: str | os.PathLike[str]) -> None:
        super().__init__()
        self.features = VGGFeatures.load("vgg16", self.RELU_1_TO_5, vgg)
        weights = read_tensors(linear)
        names = [f"lin{i}.model.1.weight" for i in range(5)]
        if any(name not in weights for name in names):
            raise CheckpointError(f"{linear}: expected LPIPS' weights {', '.join(names)}")
        self.linear = [weights[name] for name in names]

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [−1, 1] to distances (B,)."""
        shift, scale = (x.new_tensor(v).view(1, 3, 1, 1) for v in (self.SHIFT, self.SCALE))
        total = x.new_zeros(len(x))
        pairs = zip(*(self.features((image - shift) / scale) for image in (x, y)), strict=True)
        for (a, b), weight in zip(pairs, self.linear, strict=True):
            difference = functional.normalize(a, eps=1e-10) - functional.normalize(b, eps=1e-10)
            total = total + (difference.square() * weight.to(x.device)).sum(1).mean((1, 2))
        return total


class FrechetDistance:
    """FID between results and real pictures (Heusel et al., 2017).

    Args:
        inception: path of a TorchScript Inception: uint8 (B, 3, H, W) to features (B, 2048).
            TorchScript files contain code: use only a trusted one.

    Raises:
        CheckpointError: an unreadable file.
    """

    def __init__(self, inception: str | os.PathLike[str]) -> None:
        try:
            self.network = torch.jit.load(str(inception), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"{inception}: not a TorchScript file: {error}") from error

    @torch.no_grad()
    def __call__(self, results: Tensor, real: Tensor) -> float:
        """Distance of two sets of images (B, 3, H, W) in [−1, 1], at least two in each."""
        statistics = []
        for images in (results, real):
            pixels = ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).byte()
            features = self.network(pixels).double().numpy()
            statistics.append((features.mean(0), np.cov(features, rowvar=False)))
        return frechet(*statistics[0], *statistics[1])


def frechet(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    other_mean: NDArray[np.float64],
    other_covariance: NDArray[np.float64],
) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), of two Gaussians (D,), (D, D)."""
    # the product's eigenvalues are real and not negative, up to rounding
    eigenvalues = np.linalg.eigvals(covariance @ other_covariance).real.clip(min=0)
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(eigenvalues).sum()
    return float(((mean - other_mean) ** 2).sum() + trace)


class LearnedMetrics:
    """LPIPS and FID, if their weights are given.

    Args:
        files: paths by the names of `trainer.config.FileConfig`; an empty path disables a metric.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        both = files["lpips_vgg"] and files["lpips_linear"]
        self.lpips = LPIPS(files["lpips_vgg"], files["lpips_linear"]) if both else None
        self.fid = FrechetDistance(files["inception"]) if files["inception"] else None

    def measure(self, samples: Sequence[Sample]) -> dict[str, float]:
        """`TASK/lpips` and `TASK/fid` (results against truths; needs at least two faces)."""
        figures = {}
        for task in dict.fromkeys(s.task for s in samples if s.truth is not None):
            own = [s for s in samples if s.task == task and s.truth is not None]
            results = torch.cat([s.result.float().cpu() for s in own])
            truths = torch.cat([s.truth.float().cpu() for s in own if s.truth is not None])
            if self.lpips is not None:
                figures[f"{task}/lpips"] = float(self.lpips(results, truths).mean())
            if self.fid is not None and len(results) > 1:
                figures[f"{task}/fid"] = self.fid(results, truths)
        return figures
