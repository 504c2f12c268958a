"""Makeup inside somebody else's loop: a pipeline calls back with its own buffer for each frame.

GStreamer, DeepStream and camera SDKs work this way: they own the memory, rows may be padded, and
the callback must change the pixels where they are. Two ways, by what is wanted:

- `in_place`: every frame by itself, written straight into the pipeline's buffer.
- `Tracked`: faces followed from frame to frame, makeup held still, a look of its own for each face.

python custom_loop.py clip.mp4 red.jpg teal.jpg
"""

import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from makeup_sdk import Face, FrameProcessor, Look, MakeupEngine, StreamOptions

Image = np.ndarray[Any, np.dtype[np.uint8]]
Callback = Callable[[Any, int, int, int, float], None]


def view(buffer: Any, width: int, height: int, stride: int) -> Image:
    """A BGR buffer as an image, without a copy; `stride` is bytes from one row to the next."""
    rows = np.frombuffer(buffer, np.uint8, stride * height).reshape(height, stride)
    return rows[:, : 3 * width].reshape(height, width, 3)


def in_place(engine: MakeupEngine) -> Callback:
    """A callback that paints every face of a frame with `engine.look`."""

    def on_frame(buffer: Any, width: int, height: int, stride: int, seconds: float) -> None:
        frame = view(buffer, width, height, stride)
        engine.process(frame, out=frame)

    return on_frame


class Tracked:
    """A callback with a memory: call it with frames in order, from one thread.

    Args:
        engine: `engine.look` is what faces wear that have no look of their own.
        looks: the first face to appear wears the first look, the second the second, and so on.
    """

    def __init__(self, engine: MakeupEngine, looks: list[Look]) -> None:
        self._engine, self._looks = engine, looks
        self._processor = FrameProcessor(engine, StreamOptions())
        self._known: set[int] = set()
        self.faces: tuple[Face, ...] = ()

    def __call__(self, buffer: Any, width: int, height: int, stride: int, seconds: float) -> None:
        frame = view(buffer, width, height, stride)
        result = self._processor.process(frame, seconds)
        np.copyto(frame, result.image)
        self.faces = result.faces
        for face in result.faces:
            if face.track_id not in self._known:  # it wears this from the next frame on
                self._engine.wear(face.track_id, self._looks[len(self._known) % len(self._looks)])
                self._known.add(face.track_id)


class Pipeline:
    """Stands in for the pipeline: decodes a video into padded buffers that it uses again."""

    def __init__(self, path: str) -> None:
        self._capture = cv2.VideoCapture(path)
        self.last: Image | None = None

    def run(self, on_frame: Callback) -> int:
        """Call back for every frame; returns how many there were."""
        count, buffers = 0, []
        fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0
        while (read := self._capture.read())[0]:
            height, width = read[1].shape[:2]
            stride = (3 * width + 255) // 256 * 256
            if not buffers:
                buffers = [bytearray(stride * height) for _ in range(3)]
            buffer = buffers[count % len(buffers)]
            picture = view(buffer, width, height, stride)
            picture[:] = read[1]
            on_frame(buffer, width, height, stride, count / fps)
            self.last, count = picture, count + 1
        return count


def main(clip: str, *references: str) -> None:
    looks = [Look.from_photo(path) for path in references]
    tracked = Tracked(MakeupEngine(look=None), looks)
    frames = Pipeline(clip).run(tracked)
    print(f"{frames} frames, faces at the end: {[face.track_id for face in tracked.faces]}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
