import pytest
import torch

from makeup_training.networks.inputs import one_hot
from makeup_training.networks.portrait_edit import PARTS, PortraitEditor, place
from makeup_training.networks.portrait_edit_inputs import enlarge_label, part_centres, part_crops
from makeup_training.networks.portrait_edit_judges import FaceParser, MultiScaleDiscriminator

PUBLISHED = {
    "encoder_left_eye": 10_101_568,
    "encoder_right_eye": 10_101_568,
    "encoder_mouth": 50_996_032,
    "encoder_skin": 20_591_936,
    "encoder_hair": 20_591_936,
    "decoder_left_eye": 4_720_128,
    "decoder_right_eye": 4_720_128,
    "decoder_mouth": 14_966_784,
    "decoder_skin": 7_345_920,
    "decoder_hair": 7_345_920,
    "decoder_left_eye_image": 4_397_251,
    "decoder_right_eye_image": 4_397_251,
    "decoder_mouth_image": 14_643_907,
    "decoder_skin_image": 20_592_643,
    "decoder_hair_image": 20_592_643,
    "G": 404_480 + 11_680_064 + 9_600 + 17_667,
}


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def face_label():
    label = torch.zeros(1, 256, 256, dtype=torch.long)
    label[:, 20:240, 40:216] = 10
    label[:, 70:230, 60:196] = 1
    label[:, 110:120, 84:108] = 4
    label[:, 110:122, 148:172] = 5
    label[:, 130:160, 118:138] = 6
    label[:, 176:182, 104:152] = 7
    label[:, 182:186, 104:152] = 8
    label[:, 186:194, 104:152] = 9
    return label


def test_parameter_counts_at_the_published_width():
    with torch.device("meta"):
        editor = PortraitEditor()
        parser, discriminator = FaceParser(), MultiScaleDiscriminator()
    assert {name: count(child) for name, child in editor.named_children()} == PUBLISHED
    assert {name: count(child) for name, child in editor.G.named_children()} == {
        "downsample_model": 404_480,
        "model": 11_680_064,
        "bg_encoder": 9_600,
        "bg_decoder": 17_667,
    }
    assert count(parser) == 29_260_427
    assert count(discriminator) == 5_555_586


def test_published_keys():
    with torch.device("meta"):
        editor = PortraitEditor(width=8)
        parser, discriminator = FaceParser(8), MultiScaleDiscriminator(8)
    keys = set(editor.state_dict())
    assert {
        "encoder_mouth.conv.3.conv.weight",
        "encoder_mouth.conv.3.bn.running_mean",
        "encoder_skin.fc_mu.0.weight",
        "encoder_skin.fc_var.2.bias",
        "decoder_hair.fc.0.bias",
        "decoder_hair.conv.4.conv.1.weight",
        "decoder_left_eye_image.conv.5.weight",
        "decoder_skin_image.conv.8.weight",
        "G.downsample_model.1.weight",
        "G.downsample_model.8.bias",
        "G.model.0.weight",
        "G.model.9.conv_block.6.weight",
        "G.model.14.running_var",
        "G.bg_encoder.2.weight",
        "G.bg_decoder.2.bias",
    } <= keys
    assert "decoder_left_eye.fc.0.bias" not in keys
    inner = "model.model.1.model.3.model.3.model.3.model.3.model"
    assert {
        "model.model.0.weight",
        "model.model.3.bias",
        f"{inner}.1.weight",
        f"{inner}.3.weight",
    } <= (set(parser.state_dict()))
    assert {f"{inner}.4.weight", "model.model.1.model.6.weight"} <= set(parser.state_dict())
    assert {"scale1_layer0.0.weight", "scale0_layer3.1.weight", "scale0_layer4.0.bias"} <= set(
        discriminator.state_dict()
    )


def test_place_puts_features_around_rounded_centres():
    torch.manual_seed(0)
    features = torch.rand(2, 3, 8, 12)
    centres = torch.tensor([[118, 97], [6, 250]])
    expected = torch.zeros(2, 3, 64, 64)
    expected[0, :, 30 - 4 : 30 + 4, 24 - 6 : 24 + 6] = features[0]
    # int(6/4 + ½) = 2 and int(250/4 + ½) = 63: cut at the border
    expected[1, :, 0:6, 57:64] = features[1, :, 2:, :7]
    assert torch.equal(place(features, centres, (4, 6), (64, 64)), expected)


def test_centres_of_parts(face_label):
    empty = torch.zeros(1, 256, 256, dtype=torch.long)
    centres = part_centres(torch.cat([face_label, empty]))
    assert centres[0].tolist() == [[114, 95], [115, 159], [184, 127]]
    assert centres[1].tolist() == [[116, 96], [116, 160], [184, 128]]


def test_centres_near_the_border_are_moved_inside():
    label = torch.zeros(1, 256, 256, dtype=torch.long)
    label[0, 0:4, 0:4] = 4
    label[0, 250:, 250:] = 7
    assert part_centres(label)[0, [0, 2]].tolist() == [[16, 24], [216, 184]]


def test_enlarged_label_grows_parts_about_their_centres(face_label):
    large = enlarge_label(face_label, part_centres(face_label))
    for classes in ([4], [5], [7, 8, 9]):
        before = torch.isin(face_label, torch.tensor(classes))[0].nonzero()
        after = torch.isin(large, torch.tensor(classes))[0].nonzero()
        size = before.amax(0) - before.amin(0) + 1
        grown = after.amax(0) - after.amin(0) + 1
        assert (grown - 1.1 * size).abs().max() <= 1
        middles = [(p.amax(0) + p.amin(0)) / 2 for p in (before, after)]
        assert (middles[0] - middles[1]).abs().max() <= 1
    assert torch.equal(large == 10, face_label == 10)


def test_part_crops(face_label):
    torch.manual_seed(0)
    image = torch.rand(1, 3, 256, 256) + 0.1
    centres = part_centres(face_label)
    crops = part_crops(image, face_label, centres)
    assert {name: crop.shape[2:] for name, crop in crops.items()} == {
        name: spec.size for name, spec in PARTS.items()
    }
    assert torch.equal(crops["left_eye"], image[:, :, 114 - 16 : 114 + 16, 95 - 24 : 95 + 24])
    mouth = torch.isin(face_label, torch.tensor([7, 8, 9]))
    assert torch.equal(crops["mouth"] > 0, (image * mouth)[:, :, 144:224, 55:199] > 0)
    assert torch.equal(crops["skin"][:, 0] > 0, torch.isin(face_label, torch.tensor([1, 2, 3, 6])))
    assert torch.equal(crops["hair"][:, 0] > 0, face_label == 10)


def test_editor_batch_of_two_equals_two_batches_of_one(face_label):
    torch.manual_seed(0)
    editor = PortraitEditor(width=4).eval()
    label = torch.cat([face_label, face_label.roll((4, -8), (1, 2))])
    centres = part_centres(label)
    image = torch.rand(2, 3, 256, 256) * 2 - 1
    crops = part_crops(image, label, centres)
    together = editor(crops, label, centres, image)
    assert together.shape == image.shape
    images = editor.decode_images({name: mean for name, (mean, _) in editor.embed(crops).items()})
    assert all(images[name].shape == crops[name].shape for name in PARTS)
    for b in range(2):
        one = slice(b, b + 1)
        alone = editor({n: c[one] for n, c in crops.items()}, label[one], centres[one], image[one])
        torch.testing.assert_close(alone, together[one], atol=1e-4, rtol=0)


def test_parser_gives_probabilities_and_batches():
    torch.manual_seed(0)
    parser = FaceParser(width=4).eval()
    images = torch.rand(2, 3, 128, 64) * 2 - 1
    probabilities = parser(images)
    assert probabilities.shape == (2, 11, 128, 64)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 128, 64))
    # a tanh before the soft-max bounds the odds of any two classes
    assert probabilities.amax() / probabilities.amin() <= torch.tensor(2.0).exp() + 1e-4
    torch.testing.assert_close(parser(images[1:]), probabilities[1:])


def test_discriminator_judges_full_resolution_first():
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(width=4).eval()
    planes = one_hot(torch.randint(0, 11, (2, 64, 64)), 11)
    image = torch.rand(2, 3, 64, 64)
    outputs = discriminator(planes, image)
    assert [[tuple(x.shape[1:]) for x in layers] for layers in outputs] == [
        [(4, 33, 33), (8, 17, 17), (16, 9, 9), (32, 10, 10), (1, 11, 11)],
        [(4, 17, 17), (8, 9, 9), (16, 5, 5), (32, 6, 6), (1, 7, 7)],
    ]
    first = discriminator.scale1_layer0(torch.cat([planes, image], 1))
    assert torch.equal(outputs[0][0], first)
    alone = discriminator(planes[1:], image[1:])
    torch.testing.assert_close(alone[1][-1], outputs[1][-1][1:])
