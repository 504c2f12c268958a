"""What all clients of a server share: networks, the model, the gallery."""

from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.look import Look
from makeup_sdk.models.base import ModelOptions
from makeup_sdk.models.registry import DEFAULT_MODEL, open_model
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.outfits import Gallery, from_base64
from makeup_sdk.web.pictures import encode_picture, open_picture
from makeup_sdk.web.requests import ApplyRequest, LookRequest, parse


class Studio:
    """Loads everything once; its methods may be called from any thread, and take their time.

    Args:
        limits: what is taken from one client.
        threads: CPU threads of one frame; default all cores.

    Raises:
        BundleError: the shipped models are missing or damaged.
    """

    def __init__(self, limits: Limits, threads: int | None) -> None:
        self._limits = limits
        self._threads = threads
        self._analyzer = BundledFaceAnalyzer(threads=threads)
        self._model = open_model(DEFAULT_MODEL, ModelOptions(threads=threads))
        self.gallery = Gallery(self._analyzer, limits.reference_faces)

    def engine(self) -> MakeupEngine:
        """An engine of its own for one client; networks and model are shared."""
        return MakeupEngine(model=self._model, analyzer=self._analyzer, threads=self._threads)

    def make_look(self, body: bytes) -> Look:
        """The look that the JSON of a `LookRequest` asks for.

        Raises:
            MakeupError: it cannot be made.
        """
        request = parse(LookRequest, body)
        if request.photo is not None:
            photo = open_picture(from_base64(request.photo, "photo"), self._limits)
            return Look.from_photo(
                photo, title=request.title, model=self._model, analyzer=self._analyzer
            )
        card = request.colors.model_dump() if request.colors else {}
        return Look.from_colors(**card, title=request.title)

    def apply(self, body: bytes) -> tuple[bytes, str, int]:
        """What the JSON of an `ApplyRequest` asks for: a picture, its kind, and faces painted.

        Raises:
            MakeupError: it cannot be done.
        """
        request = parse(ApplyRequest, body)
        image = open_picture(from_base64(request.image, "image"), self._limits)
        look = self.gallery.dress(request.outfit)
        painted = 0
        if look is not None:
            engine = self.engine()
            engine.look = look
            engine.strength = request.outfit.strength.by_region()
            result = engine.process_detailed(image, out=image)
            painted = sum(face.painted for face in result.faces)
        return encode_picture(image, request.format), request.format, painted
