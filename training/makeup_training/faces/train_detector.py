"""Train the face detector: `python -m makeup_training.faces.train_detector --data DIR --out DIR`.

DIR of --data is the faces folder (detect/). Resumes from the checkpoint in --out if there is one.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makeup_training.faces.data import FacePicture, load_pictures
from makeup_training.faces.detector_loss import decode_boxes, detector_losses, overlap
from makeup_training.faces.detector_samples import compose_scene
from makeup_training.faces.networks import STRIDES, FaceDetector
from makeup_training.faces.train_landmarks import to_input
from makeup_training.faces.training import Schedule, Training
from makeup_training.precision import has_bfloat16

CANVASES = ((320, 320), (192, 320), (256, 320), (320, 192))
CANVAS_SHARES = (0.45, 0.25, 0.2, 0.1)
LONG_SIDE = 320


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


def train(options: argparse.Namespace) -> None:
    """Train to `options.steps`, checkpointing every 250 steps."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    pictures = load_pictures(options.data / "detect", held=False)
    held = load_pictures(options.data / "detect", held=True, single=False)
    print(f"{len(pictures)} pictures, {len(held)} held back")
    torch.manual_seed(options.seed)
    network = FaceDetector(options.width).to(memory_format=torch.channels_last)

    def losses_of(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([options.seed, step])
        height, width = CANVASES[rng.choice(len(CANVASES), p=CANVAS_SHARES)]
        scenes = [compose_scene(pictures, height, width, rng) for _ in range(options.batch)]
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu"))):
            outputs = network(to_input([s.image for s in scenes]))
        return detector_losses(outputs, scenes)

    schedule = Schedule(options.steps, options.rate, clip=10.0, save_every=250)
    training = Training(network, options.out / "detector.pt", schedule, {"width": options.width})
    training.run(losses_of, lambda state: evaluate(state, options.width, held))


@torch.no_grad()
def evaluate(state: Mapping[str, Tensor], width: int, held: list[FacePicture]) -> dict[str, float]:
    """Share of faces where the best-scoring box matches the label (IoU >= 0.5), and its score."""
    network = FaceDetector(width)
    network.load_state_dict(state)
    network.eval()
    ious, scores = [], []
    for picture in held:
        image, scale = letterbox(picture.image)
        outputs = network(to_input([image]))
        score = torch.cat([o[:, 0].flatten() for o in outputs]).sigmoid()
        boxes = [decode_boxes(o, s).reshape(-1, 4) for o, s in zip(outputs, STRIDES, strict=True)]
        best = int(score.argmax())
        label = torch.from_numpy(picture.box * scale)[None]
        ious.append(float(overlap(torch.cat(boxes)[best][None], label)[0]))
        scores.append(float(score[best]))
    report = {"found": np.mean(np.array(ious) >= 0.5), "iou": np.mean(ious)}
    report |= {"score": np.mean(scores), "score_p2": np.percentile(scores, 2)}
    return {name: round(float(value), 4) for name, value in report.items()}


def letterbox(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Resize the longer side to 320 and pad with zeros to multiples of 32; also the scale."""
    scale = LONG_SIDE / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    right, below = -width % 32, -height % 32
    return cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT), scale


if __name__ == "__main__":
    main()
