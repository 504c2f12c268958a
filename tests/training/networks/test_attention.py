"""The same-region attention against the dense published form, written out here in full."""

import numpy as np
import pytest
import torch

from makeup_kernels import attentive_morph as kernel
from makeup_kernels.errors import InvalidInputError
from makeup_training.networks.attention import attentive_morph, position_vectors

SIDE, STRIDE, CHANNELS = 6, 4, 5
ARGUMENTS = (
    "features",
    "reference_features",
    "landmarks",
    "reference_landmarks",
    "regions",
    "reference_regions",
    "values",
)


def relative_positions(landmarks, side):
    """(H·W, 2K) unit vectors of differences to each landmark: 68 in y, then 68 in x."""
    grid = torch.arange(side, dtype=torch.float64) * STRIDE
    y, x = (g.reshape(-1, 1) for g in torch.meshgrid(grid, grid, indexing="ij"))
    differences = torch.cat([y - landmarks[:, 1], x - landmarks[:, 0]], 1)
    return differences / differences.norm(dim=1, keepdim=True)


def dense_morph(
    features, reference_features, landmarks, reference_landmarks, regions, reference_regions, values
):
    """Published form: soft-max over all reference cells, masked queries and keys."""
    outputs = []
    for b in range(values.shape[0]):
        warped = 0
        for region in (1, 2, 3):
            m = (regions[b].flatten() == region).double()[:, None]
            n = (reference_regions[b].flatten() == region).double()[:, None]
            q = torch.cat(
                [0.01 * features[b].flatten(1).t(), relative_positions(landmarks[b], SIDE)], 1
            )
            k = torch.cat(
                [
                    0.01 * reference_features[b].flatten(1).t(),
                    relative_positions(reference_landmarks[b], SIDE),
                ],
                1,
            )
            attention = (200 * (m * q) @ (n * k).t()).softmax(1) * m * n.t()
            warped = warped + attention @ values[b].flatten(1).t()
        outputs.append(warped.t().reshape(-1, SIDE, SIDE))
    return torch.stack(outputs)


@pytest.fixture
def case():
    torch.manual_seed(0)
    shape = (2, CHANNELS, SIDE, SIDE)
    landmarks = torch.rand(2, 68, 2, dtype=torch.float64) * SIDE * STRIDE
    return {
        "features": torch.randn(shape, dtype=torch.float64) * 10,
        "reference_features": torch.randn(shape, dtype=torch.float64) * 10,
        "landmarks": landmarks,
        "reference_landmarks": landmarks + torch.randn_like(landmarks),
        "regions": torch.randint(0, 4, (2, SIDE, SIDE)),
        "reference_regions": torch.randint(0, 4, (2, SIDE, SIDE)),
        "values": torch.randn(2, 2, SIDE, SIDE, dtype=torch.float64),
    }


def same_region(case):
    return attentive_morph(*(case[name] for name in ARGUMENTS))


def dense(case):
    return dense_morph(**case)


def test_equals_the_dense_form(case):
    torch.testing.assert_close(same_region(case), dense(case), atol=1e-10, rtol=0)


def test_low_logits_keep_the_out_of_region_terms(case):
    case["reference_landmarks"] = 2 * case["landmarks"].mean(1, keepdim=True) - case["landmarks"]
    logit_free = case | {"reference_landmarks": case["landmarks"]}
    assert (same_region(case) - same_region(logit_free)).abs().max() > 0.1
    torch.testing.assert_close(same_region(case), dense(case), atol=1e-10, rtol=0)


def test_a_face_that_is_all_one_region_has_no_out_of_region_terms(case):
    case["regions"] = torch.full((2, SIDE, SIDE), 2)
    case["reference_regions"] = torch.full((2, SIDE, SIDE), 2)
    case["reference_landmarks"] = 2 * case["landmarks"].mean(1, keepdim=True) - case["landmarks"]
    case = {k: v.float() if v.is_floating_point() else v for k, v in case.items()}
    assert same_region(case).isfinite().all()


@pytest.mark.parametrize("name", ["features", "reference_features", "values"])
def test_gradients_equal_those_of_the_dense_form(case, name):
    case[name].requires_grad_()
    weights = torch.randn(2, 2, SIDE, SIDE, dtype=torch.float64)
    (expected,) = torch.autograd.grad((dense(case) * weights).sum(), case[name])
    (actual,) = torch.autograd.grad((same_region(case) * weights).sum(), case[name])
    torch.testing.assert_close(actual, expected, atol=1e-9, rtol=1e-9)


def test_gradcheck(case):
    for name in ("features", "reference_features", "values"):
        case[name] = (case[name] / 10)[:1].requires_grad_()
    rest = {k: v[:1] for k, v in case.items()}

    def run(features, reference_features, values):
        return same_region(
            rest
            | {"features": features, "reference_features": reference_features, "values": values}
        )

    assert torch.autograd.gradcheck(
        run, tuple(case[k] for k in ("features", "reference_features", "values"))
    )


def test_a_region_that_one_face_lacks_gives_zero(case):
    case["reference_regions"][case["reference_regions"] == 2] = 0
    morphed = same_region(case)
    mask = (case["regions"] == 2)[:, None].expand_as(morphed)
    assert (morphed[mask] == 0).all()
    assert (morphed[(case["regions"] == 0)[:, None].expand_as(morphed)] == 0).all()


def test_positions_alone(case):
    for name in ("features", "reference_features"):
        case[name] = case[name][:, :0]
    torch.testing.assert_close(same_region(case), dense(case), atol=1e-10, rtol=0)


def test_rank_three_positions_equal_the_136_differences(case):
    grid = torch.Size((SIDE, SIDE))
    queries, keys = position_vectors(
        case["landmarks"][0], case["reference_landmarks"][0], (grid, grid), STRIDE
    )
    expected = (
        relative_positions(case["landmarks"][0], SIDE)
        @ relative_positions(case["reference_landmarks"][0], SIDE).t()
    )
    torch.testing.assert_close(queries @ keys.t(), expected, atol=1e-13, rtol=0)


def test_agrees_with_the_kernel(case):
    single = {k: v.float() if v.is_floating_point() else v.to(torch.uint8) for k, v in case.items()}
    ours = same_region(single)
    for b in range(2):
        theirs = kernel(*(single[name][b].numpy() for name in ARGUMENTS))
        np.testing.assert_allclose(ours[b].numpy(), theirs, atol=1e-4)


def test_regions_of_the_wrong_grid_are_refused(case):
    case["regions"] = case["regions"].repeat_interleave(4, 1)
    with pytest.raises(InvalidInputError, match="expected the feature grids"):
        same_region(case)


def test_values_of_the_wrong_grid_are_refused(case):
    case["values"] = case["values"][:, :, 1:]
    with pytest.raises(InvalidInputError, match="values: got shape"):
        same_region(case)


def test_features_of_different_widths_are_refused(case):
    case["features"] = case["features"][:, 1:]
    with pytest.raises(InvalidInputError, match="got 4 source and 5 reference channels"):
        same_region(case)
