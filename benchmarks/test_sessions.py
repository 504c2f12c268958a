"""Exported graphs against PyTorch eager: what one frame costs once the look is encoded.

PSGAN at full width with published semantics (visual weight 0.01, temperature 200, three regions),
untrained weights, a demo face at 256×256. "published" is the published pipeline for one frame:
both branches and the dense attention over all cell pairs, in torch eager; "published, look cached"
leaves out the reference branch, which the published code does not. Ours are the source graph, the
morph kernel and the decoder graph on ONNX Runtime. SSAT and the region-sensitive GAN are the
per-frame graphs against the eager network, which encodes look and frame together.
"""

import functools

import numpy as np
import pytest

pytest.importorskip("torch", reason="exports need torch: pip install '.[train]'")

import torch

from makeup_engines import SessionOptions
from makeup_engines.backends import open_session
from makeup_export.catalogue import Settings, entry_of, graphs_of
from makeup_export.export import convert, prepare
from makeup_export.faces import demo_faces
from makeup_export.graph_modules import face_batch, pixels
from makeup_export.models.ssat import parsing_planes
from makeup_export.parity import graph_spec
from makeup_kernels import MorphReference
from makeup_kernels.attentive_morph.reference import position_vectors

SIZE, STRIDE, REGIONS = 256, 4, (1, 2, 3)
WIDTH = 64


@functools.cache
def prepared(model):
    torch.manual_seed(0)
    network = entry_of(model).build(Settings(width=WIDTH)).eval()
    graphs = graphs_of(model, network, SIZE)
    return network, prepare(graphs, demo_faces(), pairs=2, progress=lambda text: None)


@functools.cache
def converted(model, precision):
    return convert(prepared(model)[1], precision, progress=lambda text: None)


def sessions(model, precision, threads):
    ready = prepared(model)[1]
    return {
        name: open_session(
            graph.SerializeToString(),
            graph_spec(graph, name, ready.model.graphs[name].runs),
            name,
            backend="onnxruntime",
            options=SessionOptions(threads=threads),
        )
        for name, graph in converted(model, precision).graphs.items()
    }


def cells(face):
    """The feature cells' regions; brows are none of the published ones."""
    small = face.regions[::STRIDE, ::STRIDE]
    return np.where(np.isin(small, REGIONS), small, 0).astype(np.uint8)


def psgan_frame(precision, threads):
    """One frame: source graph, kernel, decoder graph, into arrays that stay."""
    ready = prepared("psgan")[1]
    (source, reference), network = ready.pairs[0], prepared("psgan")[0]
    graphs = sessions("psgan", precision, threads)
    look = graphs["reference"].run({"image": pixels(reference)})
    morph = MorphReference(
        look["features"][0],
        reference.landmarks,
        cells(reference),
        np.concatenate([look["gamma"][0], look["beta"][0]]),
        visual_weight=network.visual_weight,
        temperature=network.temperature,
        pixel_stride=STRIDE,
    )
    features = np.empty((1, 4 * WIDTH, SIZE // STRIDE, SIZE // STRIDE), np.float32)
    image, regions = np.empty((1, 3, SIZE, SIZE), np.float32), cells(source)
    frame = pixels(source)

    def run():
        graphs["source"].run({"image": frame}, {"features": features})
        maps = morph.morph(features[0], source.landmarks, regions, threads=threads)
        inputs = {"features": features, "gamma": maps[None, :1], "beta": maps[None, 1:]}
        graphs["decoder"].run(inputs, {"result": image})
        return image

    return run


def published_frame(*, cached):
    """The published pipeline: eager branches, dense attention kept sparse and made dense twice."""
    network, ready = prepared("psgan")
    source, reference = ready.pairs[0]
    image, other = face_batch(source).image, face_batch(reference).image
    positions, other_positions = (unit_positions(face) for face in ready.pairs[0])
    masks, other_masks = (region_masks(face) for face in ready.pairs[0])
    with torch.no_grad():
        look = network.encode_reference(other)

    def run():
        with torch.no_grad():
            features = network.encode_source(image)
            other_features, *maps = look if cached else network.encode_reference(other)
            query = torch.cat([masks * 0.01 * features.flatten(2), masks * positions], 1)
            key = torch.cat(
                [other_masks * 0.01 * other_features.flatten(2), other_masks * other_positions], 1
            )
            product = torch.bmm(query.transpose(1, 2), key)
            index = product.nonzero().t()
            weights = (product * 200).softmax(2)
            kept = torch.sparse_coo_tensor(index, weights[tuple(index)], product.shape)
            warped = [
                torch.bmm(kept.to_dense(), (m.flatten(2) * other_masks).transpose(1, 2)).sum(0)
                for m in maps
            ]
            side = features.shape[2:]
            return network.decode(features, *(w.reshape(1, 1, *side) for w in warped))

    return run


def unit_positions(face):
    """The published 136 maps, part of pre-processing there: not timed."""
    vectors = position_vectors(face.landmarks, SIZE // STRIDE, SIZE // STRIDE, STRIDE)
    return torch.from_numpy(vectors.T.astype(np.float32).copy())


def region_masks(face):
    flat = cells(face).reshape(1, -1)
    return torch.from_numpy(np.stack([flat == region for region in REGIONS])).float()


@pytest.mark.benchmark(group="psgan, one frame, look cached")
class TestPSGAN:
    def test_onnxruntime_fp32(self, threads, measure):
        measure(psgan_frame("fp32", threads), rounds=10, ours=True)

    def test_onnxruntime_int8(self, threads, measure):
        measure(psgan_frame("int8", threads), rounds=10)

    @pytest.mark.parametrize("cached", [False, True], ids=["published", "published_look_cached"])
    def test_torch_eager(self, threads, measure, cached):
        run = published_frame(cached=cached)
        measure(run, rounds=4)
        ours, theirs = psgan_frame("fp32", threads)()[0], run()[0].flip(0).numpy()
        assert np.abs(ours - theirs).max() < 2e-3


def region_gan_frame(precision, threads):
    ready = prepared("region-gan")[1]
    graphs = sessions("region-gan", precision, threads)
    style = graphs["style"].run(ready.calls["style"][0][0])["style"]
    inputs = {"image": pixels(ready.pairs[0][0]), "style": style}
    names = {t.name: t.shape for t in graphs["whole"].spec.outputs}
    outputs = {name: np.empty((1, *shape[1:]), np.float32) for name, shape in names.items()}
    return lambda: graphs["whole"].run(inputs, outputs)


@pytest.mark.benchmark(group="region-gan, one frame, style cached")
class TestRegionGAN:
    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_onnxruntime(self, precision, threads, measure):
        measure(region_gan_frame(precision, threads), rounds=6, ours=precision == "fp32")

    def test_torch_eager(self, threads, measure):
        network, ready = prepared("region-gan")
        image = face_batch(ready.pairs[0][0]).image
        label = torch.from_numpy(ready.calls["style"][0][0]["label"])

        def run():
            with torch.no_grad():
                return network(image, label)

        measure(run, rounds=6)


def ssat_frame(precision, threads):
    ready = prepared("ssat")[1]
    graphs = sessions("ssat", precision, threads)
    frame, look = ready.calls["source"][0][0], ready.calls["reference"][0][0]
    cached = graphs["reference"].run(look)

    def run():
        encoded = graphs["source"].run(frame)
        morphed = graphs["morph"].run({"receiving": encoded["receiving"], **cached})
        inputs = {"content": encoded["content"], "makeup": morphed["warped_makeup"]}
        return graphs["decoder"].run(inputs)["result"]

    return run


@pytest.mark.benchmark(group="ssat, transfer of one frame, look cached")
class TestSSAT:
    def test_onnxruntime(self, threads, measure):
        measure(ssat_frame("fp32", threads), rounds=4, ours=True)

    def test_torch_eager(self, threads, measure):
        network, ready = prepared("ssat")
        source, reference = ready.pairs[0]
        images = [face_batch(face).image for face in (source, reference)]
        parsings = [parsing_planes(face) for face in (source, reference)]

        def run():
            with torch.no_grad():
                return network.transfer(*images, *parsings)

        measure(run, rounds=3)
