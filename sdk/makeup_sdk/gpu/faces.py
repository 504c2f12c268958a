"""Face analysis of a frame on the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, crop_matrix
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS
from makeup_kernels.types import FloatArray
from makeup_sdk.faces import Detection, FaceAnalysis
from makeup_sdk.faces.detector import FaceDetector
from makeup_sdk.faces.geometry import box_crop_matrix
from makeup_sdk.faces.lips import without_covered_lips
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.models.base import FACES_AT_ONCE, ModelOptions
from makeup_sdk.weights import open_shipped


@dataclass(frozen=True)
class DeviceFaces:
    """Analysed faces of one frame.

    Attributes:
        frame: uint8 (H, W, 3) on the device, without makeup.
        color: its channel order, "bgr" or "rgb".
        analyses: one per face, on the host.
        regions: uint8 (N, 256, 256) on the device.
    """

    frame: Tensor
    color: str
    analyses: tuple[FaceAnalysis, ...]
    regions: Tensor

    @property
    def matrices(self) -> NDArray[np.float64]:
        """float64 (N, 2, 3): frame to crop."""
        return np.stack([face.matrix for face in self.analyses])


class GpuFaceAnalyzer:
    """The shipped face networks, on crops cut on the device.

    Without TensorRT plans for them, torch runs the two small networks. The landmark network runs on
    batches of faces if its bundle accepts any batch, else on one face at a time.

    Args:
        device: the device of the frames.
        options: options of the sessions.
        color: channel order of the frames, "bgr" or "rgb".

    Raises:
        BundleError: the shipped models are missing or damaged.
        BackendUnavailableError: onnx, which reads them for torch, is missing.
    """

    def __init__(self, device: Device, options: ModelOptions, color: str) -> None:
        self._device = device
        self._color = color
        detector = open_shipped("face_detector")
        network = open_shipped("face_landmarks_regions")
        constants = detector.manifest.constants
        self._long_side = int(constants["long_side"])
        self._detector_session = device.session(detector, "model", options.threads)
        self._detector = FaceDetector(
            self._detector_session, self._long_side, tuple(map(int, constants["strides"]))
        )
        self._network = device.session(network, "model", options.threads, batch=FACES_AT_ONCE)
        self._lips = device.session(network, "lips", options.threads, batch=FACES_AT_ONCE)
        self._size = int(network.manifest.constants["size"])

    def detect(self, frame: Tensor, max_faces: int) -> list[Detection]:
        """Faces of a frame, uint8 (H, W, 3) on the device, best first."""
        height, width = (int(side) for side in frame.shape[:2])
        place = self._detector.letterbox(height, width)
        x, y = place.width / width, place.height / height
        matrix = np.array([[[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]])
        _, planes = self._device.align_faces(
            frame, matrix, size=self._long_side, color=self._color, model_color="bgr"
        )
        planes[:, :, place.height :] = 0
        planes[:, :, :, place.width :] = 0
        rows, columns = place.padded
        image = planes[:, :, :rows, :columns].contiguous()
        cells = self._device.run(self._detector_session, {"image": image})["cells"]
        return self._detector.boxes(self._device.download(cells)[0], place, max_faces)

    def analyze(self, frame: Tensor, start: Detection | FloatArray) -> FaceAnalysis:
        """See `FaceAnalyzer.analyze`."""
        return self.analyze_all(frame, [start])[0]

    def analyze_all(
        self, frame: Tensor, starts: Sequence[Detection | FloatArray]
    ) -> list[FaceAnalysis]:
        """Landmarks and region maps of several faces.

        Faces that start from a detection need two passes: rough, then aligned.

        Args:
            frame: uint8 (H, W, 3) on the device.
            starts: for each face a detection, or its float32 (68, 2) landmarks in the last frame.
        """
        landmarks = [start for start in starts if not isinstance(start, Detection)]
        boxes = [start.box for start in starts if isinstance(start, Detection)]
        located = iter(self._locate(frame, boxes) if boxes else [])
        known = iter(landmarks)
        aligned = [next(located if isinstance(start, Detection) else known) for start in starts]
        matrices = np.stack([crop_matrix(face) for face in aligned])
        found = self._run(frame, _resized(matrices, self._size))
        points = self._device.download(found["landmarks"]) * np.float32(CROP_SIZE)
        points = np.asarray(points - np.float32(0.5), np.float32)
        scores = self._device.download(found["score"])
        crops, planes = self._device.align_faces(
            frame, matrices, size=CROP_SIZE, color=self._color, model_color="bgr"
        )
        logits = self._refined(planes, found["regions"])
        maps = self._device.region_maps(logits, self._device.upload(points))
        regions, pixels = self._device.download(maps), self._device.download(crops)
        if self._color == "rgb":
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        return [
            FaceAnalysis(
                _to_frame(points[i], matrices[i]),
                float(scores[i]),
                matrices[i],
                pixels[i],
                without_covered_lips(regions[i]),
            )
            for i in range(len(starts))
        ]

    def _locate(self, frame: Tensor, boxes: list[FloatArray]) -> list[FloatArray]:
        """Landmarks of detected faces, from upright crops."""
        rough = np.stack([box_crop_matrix(box, self._size) for box in boxes])
        found = self._run(frame, rough)
        points = self._device.download(found["landmarks"]) * np.float32(self._size) - 0.5
        return [_to_frame(*pair) for pair in zip(points, rough, strict=True)]

    def _refined(self, planes: Tensor, logits: Tensor) -> Tensor:
        """See `LipModel.refine`; logits (N, 5, 160, 160), changed in place."""
        rows, columns = MOUTH_PIXELS
        window = logits[:, :, MOUTH_LOGITS[0], MOUTH_LOGITS[1]]
        inputs = {
            "image": planes[:, :, rows, columns].contiguous(),
            "regions": window.contiguous(),
        }
        others = window[:, Region.NONE].maximum(window[:, Region.SKIN])
        window[:, Region.LIPS] = others + self._device.run(self._lips, inputs)["lips"]
        return logits

    def _run(self, frame: Tensor, matrices: NDArray[np.float64]) -> dict[str, Tensor]:
        _, planes = self._device.align_faces(
            frame, matrices, size=self._size, color=self._color, model_color="bgr"
        )
        return self._device.run(self._network, {"image": planes})


def _resized(matrices: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Convert frame-to-crop matrices to frame-to-resized-crop matrices of another side."""
    scale = size / CROP_SIZE
    resized = matrices * scale
    resized[:, :, 2] += (scale - 1) / 2
    return resized


def _to_frame(points: FloatArray, matrix: NDArray[np.float64]) -> FloatArray:
    linear = np.linalg.inv(matrix[:, :2])
    return np.asarray((points - matrix[:, 2]) @ linear.T, np.float32)
