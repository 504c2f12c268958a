"""Fine-tune the landmark and region net to be stable under makeup, light and noise.

    python -m makeup_training.faces.finetune_landmarks --data DIR --bundle BUNDLE --out RUN

Every face is shown twice, bare and with makeup or in two makeups, with nearly the same framing but
different light and noise. Besides the losses of `train_landmarks`, one loss penalises differences
of a point's error between the two. The exported weights are the mean of those before and after
(Wortsman et al., 2022): more stable than before, and more accurate than either.

Starts from the exported bundle; resumes from the checkpoint in --out if there is one, and writes
the mean beside it, as `mean.pt`. DIR is the faces folder (train/, detect/).
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from makeup_training.cosmetics import random_makeup, render
from makeup_training.data.portraits import BadDataError, Portrait
from makeup_training.data.readers import open_collection
from makeup_training.faces.checkpoints import save_atomically
from makeup_training.faces.data import FacePicture, load_crops
from makeup_training.faces.landmark_samples import CropSample, face_pair, faceless_sample
from makeup_training.faces.networks import LandmarkRegionNet
from makeup_training.faces.train_landmarks import (
    FACELESS_SHARE,
    SIDE,
    answer_losses,
    answers,
    cleaned,
    evaluate,
    shares_of,
    to_input,
    whole_pictures,
)
from makeup_training.faces.training import Ahead, Schedule, Training

DIFFERENCE_WEIGHT = 20.0
STATISTICS_BATCHES = 8


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--bundle", type=Path, required=True, help="the exported network")
    parser.add_argument("--steps", type=int, default=1700)
    parser.add_argument("--pairs", type=int, default=24, help="faces of a batch, each shown twice")
    parser.add_argument("--makeups", type=int, default=2, help="of each face")
    parser.add_argument("--rate", type=float, default=2.5e-4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


def train(options: argparse.Namespace) -> None:
    """Train to `options.steps`, checkpointing every 100 steps."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    crops = load_crops(options.data / "train", side=SIDE, held=False)
    held = load_crops(options.data / "train", side=SIDE, held=True)
    start, size, width = start_from_bundle(options.bundle)
    crops = cleaned(crops, start.state_dict(), width, size)
    outfits = [
        [crop, *made_up]
        for crop, made_up in zip(
            crops, in_makeup(crops, options.data, options.makeups, options.seed), strict=True
        )
    ]
    pictures = crops + whole_pictures(options.data)
    outfits += [[picture] for picture in pictures[len(crops) :]]
    shares = shares_of(len(crops), len(pictures))
    print(f"{len(crops)} crops of {len(pictures)} faces, {len(held)} held back", flush=True)

    def draw_batch(step: int) -> list[CropSample]:
        rng = np.random.default_rng([options.seed, step])
        pairs = []
        for number in rng.choice(len(pictures), size=options.pairs, p=shares):
            worn = outfits[number]
            one, other = rng.choice(len(worn), 2, replace=len(worn) < 2)
            pairs.append(face_pair((worn[one], worn[other]), pictures, size, rng))
        faceless = round(2 * options.pairs * FACELESS_SHARE)
        others = [faceless_sample(pictures, size, rng) for _ in range(faceless)]
        return [*(a for a, _ in pairs), *(b for _, b in pairs), *others]

    measure_statistics(start, [draw_batch(options.steps + n) for n in range(STATISTICS_BATCHES)])
    before = {name: value.clone() for name, value in start.state_dict().items()}
    network = start.to(memory_format=torch.channels_last)
    schedule = Schedule(options.steps, options.rate, clip=5.0, save_every=100, report_every=500)
    facts = {"width": width, "size": size}
    training = Training(network, options.out / "landmarks.pt", schedule, facts)
    print(evaluate(training.average.state, width, size, held), flush=True)
    ahead = Ahead(draw_batch)

    def losses_of(step: int) -> dict[str, Tensor]:
        samples = ahead.batch(step)
        answer = answers(network, samples)
        return answer_losses(answer, samples) | {
            "difference": DIFFERENCE_WEIGHT * difference(answer[0], samples, options.pairs)
        }

    training.run(losses_of, lambda state: evaluate(state, width, size, held))
    mean = mean_weights(before, training.average.state)
    print(evaluate(mean, width, size, held), flush=True)
    trained = json.loads((options.bundle / "manifest.json").read_text())["weights"]["steps"]
    steps = {"step": trained, "finetuning_steps": options.steps}
    save_atomically({"average": mean, **steps, **facts}, options.out / "mean.pt")


def mean_weights(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of two sets of weights; counters are those of the second."""
    return {
        name: torch.lerp(value, other[name], 0.5) if value.is_floating_point() else other[name]
        for name, value in one.items()
    }


def in_makeup(
    crops: list[FacePicture], data: Path, count: int, seed: int
) -> list[list[FacePicture]]:
    """Each crop in `count` random makeups; none if it already has makeup or is badly labelled."""
    files = {file.name: file for file in open_collection(data).bare}
    found = []
    for number, crop in enumerate(crops):
        rngs = [np.random.default_rng([seed, number, makeup]) for makeup in range(count)]
        try:
            face = files[crop.name].load() if crop.name in files else None
        except BadDataError:
            face = None
        found.append([_made_up(crop, face, rng) for rng in rngs] if face else [])
    return found


def _made_up(crop: FacePicture, face: Portrait, rng: np.random.Generator) -> FacePicture:
    """The crop of a face, with a random makeup."""
    worn = render(face.image, face.landmarks, random_makeup(rng), rng, face.parsing)
    small = cv2.resize(worn, crop.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    return replace(crop, image=np.asarray(small, np.uint8))


def difference(points: Tensor, samples: list[CropSample], pairs: int) -> Tensor:
    """Mean distance between the errors of sample i and sample pairs + i, in pupil distances.

    points (B, 68, 2), fractions of the crop's side.
    """
    landmarks = torch.from_numpy(np.stack([s.landmarks for s in samples]))
    error = points - landmarks
    one, other = slice(0, pairs), slice(pairs, 2 * pairs)
    eyes = landmarks[one, 36:42].mean(1) - landmarks[one, 42:48].mean(1)
    apart = (error[one] - error[other]).norm(dim=2).mean(1) / eyes.norm(dim=1).clamp(min=0.08)
    shown = torch.tensor([min(a.is_face, b.is_face) != 0 for a, b in _halves(samples, pairs)])
    return apart[shown].mean()


def _halves(samples: list[CropSample], pairs: int) -> list[tuple[CropSample, CropSample]]:
    return list(zip(samples[:pairs], samples[pairs : 2 * pairs], strict=True))


def start_from_bundle(bundle: Path) -> tuple[LandmarkRegionNet, int, int]:
    """The network of an exported bundle in evaluation mode, its input's side, and its width.

    Export folded batch normalisation into the preceding convolutions: here it only adds the bias,
    until `measure_statistics`.
    """
    graph = onnx.load(bundle / "model.onnx").graph
    stored = {
        tensor.name.removesuffix(".half"): torch.tensor(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in graph.initializer
    }
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    width = len(stored[nodes[0].input[2]])
    size = int(graph.input[0].type.tensor_type.shape.dim[2].dim_value)
    network = LandmarkRegionNet(width).eval()
    with torch.no_grad():
        layers = _layers_in_order(network, size)
        for node, (convolution, normalisation) in zip(nodes, layers, strict=True):
            convolution.weight.copy_(stored[node.input[1]])
            bias = convolution.bias
            if normalisation is not None:
                bias = normalisation.bias
                normalisation.weight.fill_((1 + normalisation.eps) ** 0.5)
            assert bias is not None
            bias.copy_(stored[node.input[2]])
        for name in ("correction", "confidence"):
            for kind, value in getattr(network, name).named_parameters():
                value.copy_(stored[f"network.{name}.{kind}"])
    return network, size, width


@torch.no_grad()
def measure_statistics(network: LandmarkRegionNet, batches: list[list[CropSample]]) -> None:
    """Give batch normalisation the statistics of these batches, without changing any output."""
    side = len(batches[0][0].image)
    layers = [(c, n) for c, n in _layers_in_order(network, side) if n is not None]
    means: dict[nn.Module, list[Tensor]] = {convolution: [] for convolution, _ in layers}
    squares: dict[nn.Module, list[Tensor]] = {convolution: [] for convolution, _ in layers}

    def note(module: nn.Module, _: object, out: Tensor) -> None:
        means[module].append(out.mean((0, 2, 3)))
        squares[module].append(out.square().mean((0, 2, 3)))

    hooks = [convolution.register_forward_hook(note) for convolution, _ in layers]
    for batch in batches:
        network(to_input([sample.image for sample in batch]))
    for hook in hooks:
        hook.remove()
    for convolution, normalisation in layers:
        mean = torch.stack(means[convolution]).mean(0)
        variance = torch.stack(squares[convolution]).mean(0) - mean.square()
        assert normalisation.running_mean is not None
        assert normalisation.running_var is not None
        normalisation.running_mean.copy_(mean)
        normalisation.running_var.copy_(variance)
        normalisation.weight.copy_((variance + normalisation.eps).sqrt())
        normalisation.bias.add_(mean)


def _layers_in_order(
    network: LandmarkRegionNet, size: int
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions in running order, each with the batch normalisation after it."""
    run: list[nn.Module] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: run.append(module))
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    network(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    layers: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    for module, following in zip(run, [*run[1:], None], strict=True):
        if isinstance(module, nn.Conv2d):
            paired = following if isinstance(following, nn.BatchNorm2d) else None
            layers.append((module, paired))
    return layers


if __name__ == "__main__":
    main()
