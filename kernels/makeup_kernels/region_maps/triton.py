"""Region maps in Triton: hulls, best regions, specks removed; five launches for all faces.

Connected components are found by union-find with decreasing labels: each run of a row starts with
the index of its first pixel, and touching runs take the minimum of their roots. The joins race, but
a component's root is always its lowest index, and sizes are sums of integers, so the map does not
depend on timing.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
import math
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.region import Region
from makeup_kernels.region_maps.reference import HOMES, SPECK_SHARE
from makeup_kernels.triton import launch
from makeup_kernels.triton.tiles import blend

_MOST_POINTS = 16
_HULLS = tuple(
    (part, reach) for region in (Region.LIPS, Region.EYES, Region.BROWS)
    for part, reach in ((part, HOMES[region][1]) for part in HOMES[region][0])
)  # fmt: skip
"""Landmarks and reach of the lips, each eye and each brow."""

_LIPS, _SKIN, _EYES, _BROWS = (
    tl.constexpr(int(region)) for region in (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)
)


@triton.jit(do_not_specialize=["points"])
def find_hulls(landmarks, members, reaches, edges, limits, points, MOST: tl.constexpr):
    """Convex hulls: edges f32 (N, hulls, MOST, 5): start, vector, 1 if valid; limits (N, hulls).

    landmarks f32 (N, points, 2); members i32 (hulls, MOST), −1 for none; reaches f32 (hulls).
    A point's edge goes to the farthest point that has all others on one side. Program (hull, face).
    """
    hull, hulls = tl.program_id(0), tl.num_programs(0)
    face = tl.program_id(1)
    marks = landmarks + face * points * 2
    k = tl.arange(0, MOST)
    member = tl.load(members + hull * MOST + k)
    known = member >= 0
    x = tl.load(marks + member * 2, known, other=0.0).to(tl.float64)
    y = tl.load(marks + member * 2 + 1, known, other=0.0).to(tl.float64)
    way_x, way_y = x[None, :] - x[:, None], y[None, :] - y[:, None]
    side = way_x[:, :, None] * way_y[:, None, :] - way_y[:, :, None] * way_x[:, None, :]
    behind = ((side < 0) & known[None, None, :]).to(tl.int32)
    length = way_x * way_x + way_y * way_y
    edge = (tl.sum(behind, 2) == 0) & known[:, None] & known[None, :] & (length > 0)
    length = tl.where(edge, length, -1.0)
    longest = tl.max(length, 1)
    chosen = k[None, :] == tl.argmax(length, 1)[:, None]
    exists = longest > 0
    # if all points coincide, the first one is the hull
    found = tl.sum(exists.to(tl.int32), 0)
    exists = tl.where(found == 0, k == 0, exists)
    target = edges + ((face * hulls + hull) * MOST + k) * 5
    tl.store(target, x.to(tl.float32))
    tl.store(target + 1, y.to(tl.float32))
    tl.store(target + 2, tl.sum(tl.where(chosen, way_x, 0.0), 1).to(tl.float32))
    tl.store(target + 3, tl.sum(tl.where(chosen, way_y, 0.0), 1).to(tl.float32))
    tl.store(target + 4, exists.to(tl.float32))

    eye = tl.arange(0, 8)
    six = eye < 6
    right_x = tl.sum(tl.load(marks + (36 + eye) * 2, six, other=0.0), 0) / 6
    right_y = tl.sum(tl.load(marks + (36 + eye) * 2 + 1, six, other=0.0), 0) / 6
    left_x = tl.sum(tl.load(marks + (42 + eye) * 2, six, other=0.0), 0) / 6
    left_y = tl.sum(tl.load(marks + (42 + eye) * 2 + 1, six, other=0.0), 0) / 6
    across, up = right_x - left_x, right_y - left_y
    unit = tl.sqrt(across * across + up * up)
    tl.store(limits + face * hulls + hull, tl.load(reaches + hull) * unit)


@triton.jit
def near_hull(edges, limits, x, y, hull, MOST: tl.constexpr):
    """Whether pixels lie in a hull or within its limit beyond it; all edges at once."""
    edge = edges + (hull * MOST + tl.arange(0, MOST)[None, :]) * 5
    exists = tl.load(edge + 4) > 0
    from_x, from_y = x[:, None] - tl.load(edge), y[:, None] - tl.load(edge + 1)
    way_x, way_y = tl.load(edge + 2), tl.load(edge + 3)
    length = tl.maximum(way_x * way_x + way_y * way_y, 1e-30)
    along = (from_x * way_x + from_y * way_y) / length
    along = tl.minimum(tl.maximum(along, 0.0), 1.0)
    off_x, off_y = from_x - along * way_x, from_y - along * way_y
    nearest = tl.min(tl.where(exists, off_x * off_x + off_y * off_y, float("inf")), 1)
    beyond = exists & (way_x * from_y - way_y * from_x <= 0)
    limit = tl.load(limits + hull)
    return (tl.sum(beyond.to(tl.int32), 1) == 0) | (nearest <= limit * limit)


@triton.jit
def enlarged(plane, top, bottom, left, right, share_y, share_x, side, there):
    """A row of a logit plane, enlarged bilinearly, f32."""
    a = tl.load(plane + top * side + left, there, other=0.0).to(tl.float32)
    b = tl.load(plane + top * side + right, there, other=0.0).to(tl.float32)
    c = tl.load(plane + bottom * side + left, there, other=0.0).to(tl.float32)
    d = tl.load(plane + bottom * side + right, there, other=0.0).to(tl.float32)
    return blend(a, b, c, d, share_x, share_y)


@triton.jit
def _greater(a, b):
    return tl.maximum(a, b)


@triton.jit
def _lesser(a, b):
    return tl.minimum(a, b)


@triton.jit
def run_starts(painted, x):
    """Where a new run of painted or of bare pixels starts in a row."""
    previous = tl.gather(painted, tl.maximum(x - 1, 0), 0)
    return (x == 0) | (previous != painted)


@triton.jit(do_not_specialize=["side", "size"])
def choose_regions(
    logits,
    edges,
    limits,
    regions,
    labels,
    counts,
    side,
    size,
    MOST: tl.constexpr,
    ROW: tl.constexpr,
):
    """regions u8, labels i32 (start of each pixel's run) and zeroed counts i32, (N, size, size).

    logits (N, 5, side, side). Program (row, face).
    """
    row, face = tl.program_id(0), tl.program_id(1)
    x = tl.arange(0, ROW)
    there = x < size
    ratio = side.to(tl.float32) / size.to(tl.float32)
    last = (side - 1).to(tl.float32)
    at_x = tl.minimum(tl.maximum((x + 0.5) * ratio - 0.5, 0.0), last)
    at_y = tl.minimum(tl.maximum((row + 0.5) * ratio - 0.5, 0.0), last)
    left, top = at_x.to(tl.int32), at_y.to(tl.int32)
    right, bottom = tl.minimum(left + 1, side - 1), tl.minimum(top + 1, side - 1)
    share_x, share_y = at_x - left, at_y - top
    planes = logits + face.to(tl.int64) * 5 * side * side
    plane = side * side
    edges += face * 5 * MOST * 5
    limits += face * 5
    pixel_x, pixel_y = x.to(tl.float32), tl.zeros((ROW,), tl.float32) + row

    best = enlarged(planes, top, bottom, left, right, share_y, share_x, side, there)
    region = tl.zeros((ROW,), tl.int32)
    value = enlarged(
        planes + _SKIN * plane, top, bottom, left, right, share_y, share_x, side, there
    )
    region = tl.where(value > best, _SKIN, region)
    best = tl.maximum(best, value)
    value = enlarged(
        planes + _LIPS * plane, top, bottom, left, right, share_y, share_x, side, there
    )
    near = near_hull(edges, limits, pixel_x, pixel_y, 0, MOST)
    region = tl.where((value > best) & near, _LIPS, region)
    best = tl.maximum(best, value)
    value = enlarged(
        planes + _EYES * plane, top, bottom, left, right, share_y, share_x, side, there
    )
    near = near_hull(edges, limits, pixel_x, pixel_y, 1, MOST)
    near = near | near_hull(edges, limits, pixel_x, pixel_y, 2, MOST)
    region = tl.where((value > best) & near, _EYES, region)
    best = tl.maximum(best, value)
    value = enlarged(
        planes + _BROWS * plane, top, bottom, left, right, share_y, share_x, side, there
    )
    near = near_hull(edges, limits, pixel_x, pixel_y, 3, MOST)
    near = near | near_hull(edges, limits, pixel_x, pixel_y, 4, MOST)
    region = tl.where((value > best) & near, _BROWS, region)

    starts = run_starts((region > 0).to(tl.int32), x)
    start = tl.associative_scan(tl.where(starts, x, 0), 0, _greater)
    pixel = (face * size + row).to(tl.int64) * size + x
    tl.store(regions + pixel, region.to(tl.uint8), there)
    tl.store(labels + pixel, row * size + start, there)
    tl.store(counts + pixel, tl.zeros((ROW,), tl.int32), there)


@triton.jit
def join(labels, a, b, active):
    """Give the components of pixels a and b one root, the lower one."""
    first = tl.load(labels + a, active, other=0)
    second = tl.load(labels + b, active, other=0)
    active = active & (first != second)
    while tl.max(active.to(tl.int32), 0) > 0:
        high, low = tl.maximum(first, second), tl.minimum(first, second)
        parent = tl.atomic_min(labels + high, low, mask=active, sem="relaxed")
        # a root is joined now; anything else had a parent, which must join too
        active = active & (parent != high) & (parent != low)
        first = tl.where(active, parent, first)
        second = tl.where(active, low, second)


@triton.jit(do_not_specialize=["size"])
def join_rows(regions, labels, size, ROW: tl.constexpr):
    """Join the runs of a row with those above: paint 8-connected, bare pixels 4-connected.

    Where two runs touch several times, the first contact is enough. Program (row − 1, face).
    """
    row, face = tl.program_id(0) + 1, tl.program_id(1).to(tl.int64)
    regions += face * size * size
    labels += face * size * size
    x = tl.arange(0, ROW)
    there = x < size
    here = row * size + x
    above = here - size
    west, east = there & (x > 0), x < size - 1
    paint = tl.load(regions + here, there, other=0) > 0
    paint_north = tl.load(regions + above, there, other=0) > 0
    paint_west = tl.load(regions + here - 1, west, other=0) > 0
    paint_east = tl.load(regions + here + 1, east, other=0) > 0
    paint_north_west = tl.load(regions + above - 1, west, other=0) > 0
    paint_north_east = tl.load(regions + above + 1, east, other=0) > 0
    known = west & (paint_west == paint) & (paint_north_west == paint_north)
    join(labels, here, above, there & (paint == paint_north) & (known == 0))
    diagonal = there & paint & (paint_north == 0)
    join(labels, here, above - 1, diagonal & paint_north_west & (paint_west == 0))
    join(labels, here, above + 1, diagonal & paint_north_east & (paint_east == 0))


@triton.jit
def find_root(labels, at, active):
    """The root (lowest index) of each pixel's component, after all joins."""
    root = tl.load(labels + at, active, other=0)
    parent = tl.load(labels + root, active, other=0)
    while tl.max((active & (parent != root)).to(tl.int32), 0) > 0:
        root = parent
        parent = tl.load(labels + root, active, other=0)
    return root


@triton.jit(do_not_specialize=["size"])
def count_pieces(regions, labels, counts, size, ROW: tl.constexpr):
    """Add the length of each run of a row to the count at its root. Program (row, face).

    A bare component that touches the border counts as larger than the map: it is not a hole.
    """
    row, face = tl.program_id(0), tl.program_id(1).to(tl.int64)
    regions += face * size * size
    labels += face * size * size
    counts += face * size * size
    x = tl.arange(0, ROW)
    there = x < size
    here = row * size + x
    painted = (tl.load(regions + here, there, other=0) > 0).to(tl.int32)
    painted = tl.where(there, painted, 2)
    starts = run_starts(painted, x) & there
    following = tl.gather(run_starts(painted, x).to(tl.int32), tl.minimum(x + 1, ROW - 1), 0)
    ends = (following > 0) | (x == size - 1)
    end = tl.associative_scan(tl.where(ends, x, ROW), 0, _lesser, reverse=True)
    length = end - x + 1
    outer = (row == 0) | (row == size - 1) | (x == 0) | (end == size - 1)
    length = tl.where(outer & (painted == 0), size * size, length)
    root = find_root(labels, here, starts)
    tl.atomic_add(counts + root, length, mask=starts, sem="relaxed")


@triton.jit(do_not_specialize=["size", "least_island", "least_hole"])
def drop_specks(regions, labels, counts, out, size, least_island, least_hole, ROW: tl.constexpr):
    """out u8 (N, size, size): regions without small islands and holes. Program (row, face)."""
    row, face = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first = face * size * size
    x = tl.arange(0, ROW)
    there = x < size
    here = row * size + x
    region = tl.load(regions + first + here, there, other=0).to(tl.int32)
    root = find_root(labels + first, here, there)
    count = tl.load(counts + first + root, there, other=0)
    region = tl.where((region > 0) & (count < least_island), 0, region)
    bare = tl.load(regions + first + here, there, other=0) == 0
    region = tl.where(bare & (count < least_hole), _SKIN, region)
    tl.store(out + first + here, region.to(tl.uint8), there)


def region_maps(logits: Tensor, landmarks: Tensor, *, size: int = 256) -> Tensor:
    """`makeup_kernels.region_maps` of several faces on torch tensors.

    Args:
        logits: float32 or float16 (N, 5, s, s), channel = `makeup_kernels.Region`.
        landmarks: float32 (N, 68, 2), pixels of the map.
        size: side of the maps.

    Returns:
        uint8 (N, size, size).
    """
    faces, device = logits.shape[0], logits.device
    members, reaches = _hull_members(device)
    edges = torch.empty((faces, 5, _MOST_POINTS, 5), dtype=torch.float32, device=device)
    limits = torch.empty((faces, 5), dtype=torch.float32, device=device)
    regions = torch.empty((faces, size, size), dtype=torch.uint8, device=device)
    labels = torch.empty((faces, size, size), dtype=torch.int32, device=device)
    counts, out = torch.empty_like(labels), torch.empty_like(regions)
    row = {"ROW": triton.next_power_of_2(size)}
    pieces = {"regions": regions, "labels": labels, "size": size}
    launch(
        find_hulls,
        (len(_HULLS), faces),
        {
            "landmarks": landmarks.contiguous(),
            "members": members,
            "reaches": reaches,
            "edges": edges,
            "limits": limits,
            "points": landmarks.shape[1],
        },
        {"MOST": _MOST_POINTS},
    )
    launch(
        choose_regions,
        (size, faces),
        {
            "logits": logits.contiguous(),
            "edges": edges,
            "limits": limits,
            "counts": counts,
            "side": logits.shape[2],
            **pieces,
        },
        {"MOST": _MOST_POINTS, **row},
    )
    launch(join_rows, (size - 1, faces), pieces, row)
    launch(count_pieces, (size, faces), {"counts": counts, **pieces}, row)
    limit = SPECK_SHARE * size * size
    least = {"least_island": math.ceil(limit), "least_hole": math.ceil(limit / 4)}
    launch(drop_specks, (size, faces), {"counts": counts, "out": out, **pieces, **least}, row)
    return out


@lru_cache(maxsize=16)
def _hull_members(device: torch.device) -> tuple[Tensor, Tensor]:
    members = [[*part, *[-1] * (_MOST_POINTS - len(part))] for part, _ in _HULLS]
    return (
        torch.tensor(members, dtype=torch.int32, device=device),
        torch.tensor([reach for _, reach in _HULLS], dtype=torch.float32, device=device),
    )
