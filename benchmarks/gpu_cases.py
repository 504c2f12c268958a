"""Cases of `gpu_kernels.py`: our kernels and torch forms of the same work on one device.

A case has runs by name, each a function without arguments on arrays already on the device, and its
bounds: the bytes it must touch and the multiply-adds of its matrix product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from face_cells import FACE_CELLS, face_regions, pairs

from makeup_kernels import (
    TEMPLATE_LANDMARKS,
    MorphReference,
    RegionHistogram,
    align_faces,
    apply_color_map,
    attentive_morph,
    composite,
    region_maps,
)

GRID, STRIDE, CHANNELS, VALUES = 64, 4, 256, 2
VISUAL_WEIGHT, TEMPERATURE = 0.01, 200.0
SIDE = 256


@dataclass(frozen=True)
class Case:
    """One piece of work in several implementations.

    Attributes:
        name: the work and its size.
        ours: our runs by backend.
        peers: other runs by name.
        bytes: minimum bytes to read and write.
        multiply_adds: of the matrix product; 0 if bound only by memory.
        half: whether that product is in fp16.
        aims: target speed-up of ours by peer; "µs": target time.
        tolerance: maximum difference between ours and the peers; None: not compared.
    """

    name: str
    ours: Mapping[str, Callable[[], Any]]
    peers: Mapping[str, Callable[[], Any]]
    bytes: int
    multiply_adds: int = 0
    half: bool = False
    aims: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | None = None


def cases(device: str, backends: tuple[str, ...]) -> list[Callable[[], Case]]:
    """Builders of all cases."""
    found: list[Callable[[], Case]] = []
    for faces in (1, 8):
        for dtype in (torch.float16, torch.float32):
            found.append(lambda n=faces, d=dtype: morph_case(device, backends, n, d))
    if "triton" in backends:
        found.append(lambda: gradient_case(device))
    for side in (256, 1024):
        found.append(lambda n=side: histogram_case(device, backends, n))
    for height, width in ((1080, 1920), (2160, 3840)):
        found.append(lambda h=height, w=width: frame_case(device, backends, h, w))
        found.append(lambda h=height, w=width: color_map_case(device, backends, h, w))
    found.append(lambda: region_map_case(device, backends))
    return found


def morph_arrays(device: str, faces: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Arguments of the morph with regions of 66, 1342 and 290 cells."""
    rng = np.random.default_rng(0)
    marks = np.repeat((TEMPLATE_LANDMARKS * SIDE)[None], faces, 0)
    others = marks + 4 * rng.standard_normal(marks.shape)
    regions = np.repeat(face_regions(GRID, FACE_CELLS)[None], faces, 0)
    features = rng.standard_normal((2, faces, CHANNELS, GRID, GRID), dtype=np.float32)
    values = rng.standard_normal((faces, VALUES, GRID, GRID), dtype=np.float32)
    arrays = [*features, marks.astype(np.float32), others.astype(np.float32), regions]
    arrays += [regions[:, :, ::-1].copy(), values]
    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    return [tensors[0].to(dtype), tensors[1].to(dtype), *tensors[2:]]


def morph_case(device: str, backends: tuple[str, ...], faces: int, dtype: torch.dtype) -> Case:
    """Attentive morph, reference prepared."""
    arrays = morph_arrays(device, faces, dtype)
    ours = {}
    for backend in backends:
        reference = MorphReference(*(arrays[i] for i in (1, 3, 5, 6)), backend=backend)
        source = [arrays[i] for i in (0, 2, 4)]
        ours[backend] = lambda r=reference, s=source: r.morph(*s)
    peers = {"torch, same region, prepared": same_region(arrays)}
    if faces == 1:
        peers["torch, dense 3×4096×4096"] = dense(arrays)
    itemsize = torch.empty((), dtype=dtype).element_size()
    cells = GRID * GRID
    fp32 = "fp16" if dtype == torch.float16 else "fp32"
    return Case(
        f"attentive_morph, 66/1342/290 cells, C = 256, {fp32}, {faces} face{'s'[: faces > 1]}",
        ours,
        peers,
        bytes=faces * cells * (2 * CHANNELS * itemsize + 2 * VALUES * 4),
        multiply_adds=faces * pairs(FACE_CELLS) * CHANNELS,
        half=dtype == torch.float16,
        aims={"torch, dense": 50, "torch, same region": 3} | ({"µs": 60} if faces == 1 else {}),
        tolerance=2e-2,
    )


def gradient_case(device: str) -> Case:
    """Forward and backward against autograd of torch's same-region form."""
    from makeup_training.networks.attention import attentive_morph as plain_morph

    arrays = morph_arrays(device, 1, torch.float32)
    wanted = [arrays[i].requires_grad_() for i in (0, 1, 6)]

    def gradients(morph: Callable[..., torch.Tensor]) -> Any:
        return torch.autograd.grad(morph(*arrays).sum(), wanted)[2]

    return Case(
        "attentive_morph forward and backward, C = 256, fp32, 1 face",
        {"triton": lambda: gradients(lambda *a: attentive_morph(*a, backend="triton"))},
        {"torch, same region": lambda: gradients(plain_morph)},
        bytes=3 * GRID * GRID * 2 * CHANNELS * 4,
        multiply_adds=5 * pairs(FACE_CELLS) * CHANNELS,
        tolerance=2e-2,
    )


def _tokens(arrays: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys (cells, 256 + 3) of the first face, float32, factors included."""
    marks, others = arrays[2][0].double(), arrays[3][0].double()
    y, x = torch.meshgrid(*[torch.arange(GRID, device=marks.device) * STRIDE] * 2, indexing="ij")
    grid = torch.stack([x.flatten(), y.flatten()], 1).double()
    coupling = ((marks - marks.mean(0)) * (others - others.mean(0))).sum()

    def vectors(points: torch.Tensor, last: Any) -> torch.Tensor:
        offset = grid - points.mean(0)
        spread = (points - points.mean(0)).square().sum()
        norm = (len(points) * offset.square().sum(1) + spread).sqrt()[:, None]
        constant = torch.ones_like(norm) * last
        return (torch.cat([len(points) ** 0.5 * offset, constant], 1) / norm).float()

    features, keys = (array[0].float().flatten(1).T for array in arrays[:2])
    scale = TEMPERATURE * VISUAL_WEIGHT**2
    queries = torch.cat([scale * features, TEMPERATURE * vectors(marks, coupling)], 1)
    return queries.contiguous(), torch.cat([keys, vectors(others, 1.0)], 1).contiguous()


def dense(arrays: list[torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The published form on one face: three masked 4096×4096 soft-maxes, fp32."""
    queries, keys = _tokens(arrays)
    regions, other_regions = (arrays[i][0].flatten() for i in (4, 5))
    masks = torch.stack([(regions == r).float() for r in FACE_CELLS])[:, :, None]
    key_masks = torch.stack([(other_regions == r).float() for r in FACE_CELLS])[:, :, None]
    values = arrays[6][0].flatten(1).T

    def run() -> torch.Tensor:
        logits = torch.bmm(masks * queries, (key_masks * keys).transpose(1, 2))
        weights = logits.softmax(2) * masks * key_masks.transpose(1, 2)
        return (weights @ values).sum(0).T.reshape(1, VALUES, GRID, GRID)

    return run


def same_region(arrays: list[torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The best torch form: rank-3 positions, cell lists and keys prepared, pairs of a region."""
    prepared = []
    for face in range(arrays[0].shape[0]):
        one = [array[face : face + 1] for array in arrays]
        queries, keys = _tokens(one)
        for region in FACE_CELLS:
            rows = (one[4][0].flatten() == region).nonzero()[:, 0]
            columns = (one[5][0].flatten() == region).nonzero()[:, 0]
            values = one[6][0].flatten(1)[:, columns].T.contiguous()
            prepared.append((face, queries, rows, keys[columns].T.contiguous(), values))

    def run() -> torch.Tensor:
        out = arrays[6].new_zeros((arrays[0].shape[0], VALUES, GRID * GRID))
        for face, queries, rows, keys, values in prepared:
            logits = queries[rows] @ keys
            peak = logits.amax(1, keepdim=True).clamp_(min=0)
            weights = logits.sub_(peak).exp_()
            total = weights.sum(1, keepdim=True)
            total += (GRID * GRID - keys.shape[1]) * torch.exp(-peak)
            out[face, :, rows] = ((weights @ values) / total).T
        return out.reshape(-1, VALUES, GRID, GRID)

    return run


def histogram_case(device: str, backends: tuple[str, ...], side: int) -> Case:
    """Region histogram matching, reference prepared."""
    rng = np.random.default_rng(0)
    source, reference = (
        torch.from_numpy(np.clip(rng.normal(mean, 40, (1, side, side, 3)), 0, 255).astype(np.uint8))
        for mean in (100, 160)
    )
    cells = {region: count * 16 * (side // 256) ** 2 for region, count in FACE_CELLS.items()}
    regions = torch.from_numpy(face_regions(side, cells))[None].to(device)
    source, reference = source.to(device), reference.to(device)
    ours = {}
    for backend in backends:
        prepared = RegionHistogram(reference, regions, backend=backend)
        ours[backend] = lambda p=prepared: p.match(source, regions)
    return Case(
        f"match_region_histograms, {side}²",
        ours,
        {"torch operations": _torch_histograms(source, reference, regions)},
        bytes=side * side * (2 * 3 + 3 + 2),
        aims={"torch operations": 10},
        tolerance=0,
    )


def _torch_histograms(
    source: torch.Tensor, reference: torch.Tensor, regions: torch.Tensor
) -> Callable[[], torch.Tensor]:
    """bincount, cumsum and searchsorted per region and channel; the reference's counts prepared."""
    prepared = [
        (regions[0] == region, channel, reference[0][regions[0] == region][:, channel])
        for region in FACE_CELLS
        for channel in range(3)
    ]
    counts = [
        (where, c, torch.bincount(values, minlength=256).cumsum(0)) for where, c, values in prepared
    ]
    identity = torch.arange(256, device=source.device)

    def run() -> torch.Tensor:
        out = source.clone()
        for where, channel, there in counts:
            values = source[0, :, :, channel][where]
            here = torch.bincount(values, minlength=256).cumsum(0)
            share, other = here * there[-1], there * here[-1]
            first = torch.searchsorted(other, share)
            table = torch.where(first > 0, first, torch.where(other[0] == share, 1, identity))
            table[0], table[255] = 0, 255
            out[0, :, :, channel][where] = table[values.long()].to(torch.uint8)
        return out

    return run


def face_matrix(height: int, width: int, crop: int = SIDE) -> np.ndarray:
    """A face whose crop covers six tenths of the frame's height, turned by 10°."""
    side = 0.6 * height
    scale, angle = crop / side, np.deg2rad(10)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = crop / 2 - linear @ np.array([width / 2, height / 2])
    return np.hstack([linear, shift[:, None]])[None]


def frame_case(device: str, backends: tuple[str, ...], height: int, width: int) -> Case:
    """Align a face and put it back, in place, against copying the bytes they touch."""
    rng = np.random.default_rng(0)
    frame = torch.from_numpy(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).to(device)
    matrices = torch.from_numpy(face_matrix(height, width)).to(device)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    mask = np.clip(3 - 7 * np.hypot(x, y), 0, 1).astype(np.float32)[None]
    masks = torch.from_numpy(mask).to(device)
    result = torch.from_numpy(rng.integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)).to(device)

    def run(backend: str) -> Any:
        crops, _ = align_faces(frame, matrices, backend=backend)
        return composite(frame, crops, result, masks, matrices, out=frame, backend=backend)

    covered = 0.36 * height * height * 3
    inside = covered * float((mask > 0).mean())
    pixels = SIDE * SIDE
    # read the face, write crop and input; read crops and mask, read and write the masked pixels
    touched = int(covered + pixels * (3 + 12) + pixels * (3 + 3 + 4) + 2 * inside)
    source = torch.empty(touched // 2, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Case(
        f"align + composite in place, {width}×{height}",
        {backend: lambda b=backend: run(b) for backend in backends},
        {"copy of the touched bytes": lambda: target.copy_(source)},
        bytes=touched,
        aims={"copy of the touched bytes": 0.5},
    )


def color_map_case(device: str, backends: tuple[str, ...], height: int, width: int) -> Case:
    """A colour map of 64×64 cells applied in place, against copying the bytes it touches."""
    rng = np.random.default_rng(0)
    frame = torch.from_numpy(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).to(device)
    matrices = torch.from_numpy(face_matrix(height, width, 64)).to(device)
    change = rng.normal(0, 0.1, (1, 6, 64, 64)).astype(np.float32)
    changes = torch.from_numpy(change).to(device)
    touched = int(2 * 0.36 * height * height * 3)
    source = torch.empty(touched // 2, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Case(
        f"apply_color_map in place, {width}×{height}",
        {
            backend: lambda b=backend: apply_color_map(
                frame, changes, matrices, out=frame, backend=b
            )
            for backend in backends
        },
        {"copy of the touched bytes": lambda: target.copy_(source)},
        bytes=touched + change.nbytes,
        aims={"copy of the touched bytes": 0.5},
    )


def region_map_case(device: str, backends: tuple[str, ...]) -> Case:
    """From logits to a clean region map."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.standard_normal((1, 5, 160, 160), dtype=np.float32)).to(device)
    marks = torch.from_numpy((TEMPLATE_LANDMARKS * SIDE)[None].astype(np.float32)).to(device)
    return Case(
        "region_maps, 160² logits to 256²",
        {backend: lambda b=backend: region_maps(logits, marks, backend=b) for backend in backends},
        {},
        bytes=5 * 160 * 160 * 4 + 2 * SIDE * SIDE,
    )
