import torch

from makeup_training.networks.crops import crop_boxes, crop_parts, mask_boxes


def test_boxes_of_masks():
    masks = torch.zeros(3, 16, 20, dtype=torch.bool)
    masks[0, 3:7, 5:12] = True
    masks[1, 0, 19] = True
    assert mask_boxes(masks).tolist() == [[5, 3, 12, 7], [19, 0, 20, 1], [0, 0, 20, 16]]
    assert mask_boxes(masks, 4)[0].tolist() == [1, 0, 16, 11]


def test_a_crop_of_its_own_size_is_a_slice():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 20)
    boxes = torch.tensor([[5.0, 3, 13, 9], [0, 0, 8, 6]])
    crops = crop_boxes(images, boxes, (6, 8), "bilinear")
    torch.testing.assert_close(crops[0], images[0, :, 3:9, 5:13])
    torch.testing.assert_close(crops[1], images[1, :, 0:6, 0:8])


def test_crop_gradients():
    images = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[1.0, 0.5, 4.5, 5]])
    assert torch.autograd.gradcheck(lambda x: crop_boxes(x, boxes, (3, 4), "bilinear"), images)


def test_parts_are_masked_cut_and_empty_where_absent():
    images = torch.ones(2, 3, 32, 32)
    masks = torch.zeros(2, 2, 32, 32)
    masks[0, 0, 8:16, 8:16] = 0.9
    masks[0, 0, 20:, 20:] = 0.4
    crops = crop_parts(images, masks, 12)
    assert crops.shape == (2, 2, 3, 12, 12)
    # box 8..16 and a margin of 2 on each side: 12 pixels, the part in the middle 8
    assert crops[0, 0].sum() == 3 * 64
    assert crops[0, 1].abs().sum() == 0
    assert crops[1].abs().sum() == 0
