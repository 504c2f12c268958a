"""PSGAN on the device: all faces of a frame in one batch; only masks are uploaded."""

from typing import Any

import numpy as np

from makeup_kernels import CROP_SIZE, BackendUnavailableError
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import Strength
from makeup_sdk.models.papers.faces import beyond, makeup_mask
from makeup_sdk.models.papers.graphs import Graphs


class DevicePSGANPainter:
    """Counterpart of `PSGANPainter`.

    Raises:
        BackendUnavailableError: the bundle's crop size differs from the frame path's.
    """

    def __init__(self, device: Device, graphs: Graphs, references: References) -> None:
        if graphs.size != CROP_SIZE:
            raise BackendUnavailableError(
                f"{graphs.where}: crops of {graphs.size} pixels; the frame path on the GPU takes "
                f"{CROP_SIZE}; export with --size {CROP_SIZE}, or use device='cpu'"
            )
        self._device, self._graphs = device, graphs
        self._stride = graphs.count("pixel_stride", 1)
        self._weights = [device.upload(weights) for weights in references.weights()]
        self._references = [self._encode(face) for face in references.faces]

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """See `GpuPainter.paint`."""
        crops, inputs = self._device.align_faces(
            faces.frame,
            faces.matrices,
            size=CROP_SIZE,
            color=faces.color,
            model_color=self._graphs.color,
            mean=self._graphs.mean,
            scale=self._graphs.scale,
        )
        features = self._run("source", {"image": inputs})["features"]
        marks = np.stack([np.rint(face.crop_landmarks) for face in faces.analyses])
        landmarks = self._device.upload(marks)
        cells = faces.regions[:, :: self._stride, :: self._stride].contiguous()
        maps: Any = 0
        for reference, weights in zip(self._references, self._weights, strict=True):
            laid = reference.morph(features, landmarks, cells)
            maps = maps + laid * weights[cells.long()][:, None]
        gamma, beta = (part.contiguous() for part in maps.chunk(2, 1))
        decoded = self._run("decoder", {"features": features, "gamma": gamma, "beta": beta})
        results = self._pixels(decoded["result"], faces.color)
        for number, (face, strength) in enumerate(zip(faces.analyses, strengths, strict=True)):
            times = beyond(face.regions, strength)
            if times is not None:
                crop = crops[number].float()
                change = self._device.upload(times)[..., None] * (results[number] - crop)
                results[number] = (crop + change).round().clamp(0, 255).byte()
        masks = [
            makeup_mask(face.regions, strength)
            for face, strength in zip(faces.analyses, strengths, strict=True)
        ]
        up = self._device.upload(np.stack(masks))
        self._device.composite(image, crops, results, up, faces.matrices)

    def _encode(self, face: FaceAnalysis) -> Any:
        image = self._device.upload(self._graphs.pixels(face.crop))
        encoded = self._run("reference", {"image": image})
        regions = np.ascontiguousarray(face.regions[:: self._stride, :: self._stride])
        return self._device.morph_reference(
            encoded["features"],
            self._device.upload(np.rint(face.crop_landmarks)[None]),
            self._device.upload(regions[None]),
            self._device.join(encoded["gamma"], encoded["beta"]),
            visual_weight=self._graphs.number("visual_weight"),
            temperature=self._graphs.number("temperature"),
            pixel_stride=self._stride,
        )

    def _run(self, name: str, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return self._device.run(self._graphs.sessions[name], inputs)

    def _pixels(self, result: Tensor, color: str) -> Tensor:
        """The network's float (N, 3, S, S) to uint8 (N, S, S, 3) in the frame's channel order."""
        scale, offset = self._graphs.output
        planes = result if self._graphs.color == color else result.flip(1)
        pixels = (planes * scale + offset).round().clamp(0, 255)
        return pixels.permute(0, 2, 3, 1).contiguous().byte()
