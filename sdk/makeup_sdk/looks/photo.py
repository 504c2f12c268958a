"""The face of a reference photo."""

from pathlib import Path

from makeup_kernels import NoFaceError
from makeup_sdk.faces import Detection, FaceAnalysis, FaceAnalyzer
from makeup_sdk.images import Picture, check_frame, open_picture, to_bgr

_MIN_SCORE = 0.5
_MAX_FACES = 16


def reference_face(
    photo: Picture, name: str, analyzer: FaceAnalyzer, color: str = "bgr"
) -> FaceAnalysis:
    """The largest face of a photo.

    Args:
        photo: path of an image file, a Pillow image, or a frame.
        name: names photos without a path in messages.
        analyzer: finds the face.
        color: channel order of frames.

    Raises:
        InvalidInputError: not a readable image.
        NoFaceError: no usable face in it.
    """
    name = str(photo) if isinstance(photo, (str, Path)) else name
    frame = to_bgr(check_frame(open_picture(photo, color)[0], name), color)
    faces = analyzer.detect(frame, _MAX_FACES)
    face = analyzer.analyze(frame, max(faces, key=_area)) if faces else None
    if face is None or face.score < _MIN_SCORE:
        raise NoFaceError(
            f"{name}: no face found in {frame.shape[1]}x{frame.shape[0]} pixels; "
            "use a photo in which the made-up face is large, uncovered and looks at the camera"
        )
    return face


def _area(face: Detection) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))
