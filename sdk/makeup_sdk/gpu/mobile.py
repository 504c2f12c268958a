"""`mobile` on the device: all faces of a frame in one batch."""

import numpy as np

from makeup_engines import Session
from makeup_kernels import CROP_SIZE
from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces
from makeup_sdk.makeup.codes import MobileMakeup, template_layout
from makeup_sdk.models.base import Strength
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS, LaidCodes
from makeup_sdk.models.mobile.paint import TO_RGB, cells_of, worn_shares


class DeviceMobilePainter:
    """Counterpart of `MobilePainter`. The look's codes are laid out on the host (256 KB go up).

    Args:
        device: where frames lie.
        makeup: the look's.
        session: the graph `painter` of the bundle.
        threads: CPU threads of the morph; None: one per core.
    """

    def __init__(
        self, device: Device, makeup: MobileMakeup, session: Session, threads: int | None = None
    ) -> None:
        self._device, self._session = device, session
        self._codes = LaidCodes(makeup.codes, template_layout(), threads)

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """See `DevicePainter.paint`."""
        crops, _ = self._device.align_faces(
            faces.frame, faces.matrices, size=CROP_SIZE, color=faces.color
        )
        layouts = [FaceLayout(face.crop_landmarks, face.regions) for face in faces.analyses]
        inputs = {
            "image": crops if faces.color == "bgr" else crops.flip(3).contiguous(),
            "regions": faces.regions,
            "codes": self._device.upload(np.stack([self._codes.on(face) for face in layouts])),
        }
        changes = self._device.run(self._session, inputs)
        shares = [
            worn_shares(face.regions, strength)
            for face, strength in zip(faces.analyses, strengths, strict=True)
        ]
        for part, grid in CHANGE_GRIDS.items():
            share = np.stack([share[part][None] for share in shares])
            change = changes[part] * self._device.upload(share)
            if faces.color == "rgb":
                change = change[:, TO_RGB].contiguous()
            cells = np.stack([cells_of(face.matrix, grid) for face in faces.analyses])
            self._device.apply_color_map(image, change, cells)
