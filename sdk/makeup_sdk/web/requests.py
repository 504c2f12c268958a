"""Request bodies as JSON: their models and a parser with limits."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makeup_kernels import InvalidInputError
from makeup_sdk.web.outfits import ColorCard, Outfit, Share
from makeup_sdk.web.session import MOST_TEXT

Parsed = TypeVar("Parsed", bound=BaseModel)

_MAX_VALUES = 1000
_SHOWN = 40

Picture = Annotated[str, Field(description="JPEG, PNG or WebP file, base64.")]
Point = Annotated[list[Share], Field(min_length=2, max_length=2)]
"""x and y as shares of a picture's width and height."""
_NEAREST = (
    "x and y as shares of width and height: the face nearest to this point. Without it the largest."
)


class ApplyRequest(BaseModel):
    """A photo and the outfit for its faces."""

    model_config = ConfigDict(extra="forbid")

    image: Picture
    outfit: Outfit
    face: Point | None = Field(
        default=None,
        description="x and y as shares of width and height: the face nearest to this point alone "
        "wears the outfit. Without it every face does.",
    )
    format: Annotated[str, Field(pattern="^(jpeg|png)$")] = "jpeg"


class LookRequest(BaseModel):
    """A reference photo or colours, to make a look from."""

    model_config = ConfigDict(extra="forbid")

    photo: Picture | None = None
    colors: ColorCard | None = None
    title: str = Field(default="look", max_length=80)


class LabelRequest(BaseModel):
    """A photo to label: the label gives the face part at each pixel."""

    model_config = ConfigDict(extra="forbid")

    image: Picture
    face: Point | None = Field(default=None, description=_NEAREST)


class EditRequest(BaseModel):
    """A photo and the edit of one face: parts of other people, a redrawn label, or both."""

    model_config = ConfigDict(extra="forbid")

    image: Picture
    parts: dict[Literal["skin", "eyes", "mouth", "hair", "face"], Picture] = Field(
        default={}, description="Reference photos by part; face stands for skin, eyes and mouth."
    )
    label: str | None = Field(
        default=None,
        description="A picture of any size with the photo's aspect, base64: the label that "
        "`POST /v1/label` gave, redrawn in its colours. Where it is transparent, the face keeps "
        "its own.",
    )
    face: Point | None = Field(default=None, description=_NEAREST)
    format: Annotated[str, Field(pattern="^(jpeg|png)$")] = "jpeg"


class LiveRequest(Outfit):
    """The outfit of a live client, and optionally the session to restore on a new socket."""

    session: str | None = Field(
        default=None,
        max_length=MOST_TEXT,
        description="The last one that an answer held, or empty to be told some from now on.",
    )
    face: int | None = Field(
        default=None,
        ge=0,
        description="The id of a face, as the header of frames tells it: it alone wears the "
        "outfit. Without it every face does.",
    )


def parse(kind: type[Parsed], data: bytes) -> Parsed:
    """Parse JSON as a request.

    Raises:
        InvalidInputError: not JSON, too many values, or a field that is missing, unknown or
            invalid. The message names the field, cut to 40 letters.
    """
    # base64 has none of these characters: long pictures pass, and they are cheap to parse
    if sum(map(data.count, (b"[", b"{", b","))) > _MAX_VALUES:
        raise InvalidInputError(f"body: more than {_MAX_VALUES} values, which no request has")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(_clipped(str(part)) for part in first["loc"]) or "body"
        raise InvalidInputError(f"{field}: {first['msg']}") from None


def _clipped(name: str) -> str:
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
