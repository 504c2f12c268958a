"""What clients send, as JSON: parsed off the event loop, within bounds."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makeup_kernels import InvalidInputError
from makeup_sdk.web.outfits import ColorCard, Outfit
from makeup_sdk.web.session import MOST_TEXT

Parsed = TypeVar("Parsed", bound=BaseModel)

_MAX_VALUES = 1000
_SHOWN = 40


class ApplyRequest(BaseModel):
    """A photo and what its faces shall wear."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="JPEG, PNG or WebP file, base64.")
    outfit: Outfit
    format: Annotated[str, Field(pattern="^(jpeg|png)$")] = "jpeg"


class LookRequest(BaseModel):
    """A reference photo, or colours, to make a look of."""

    model_config = ConfigDict(extra="forbid")

    photo: str | None = Field(default=None, description="JPEG, PNG or WebP file, base64.")
    colors: ColorCard | None = None
    title: str = Field(default="look", max_length=80)


class LiveRequest(Outfit):
    """What a live client wears, and the session that it brings to a new socket, if any."""

    session: str | None = Field(
        default=None,
        max_length=MOST_TEXT,
        description="The last one that an answer held, or empty to be told some from now on.",
    )


def parse(kind: type[Parsed], data: bytes) -> Parsed:
    """JSON as a request.

    Raises:
        InvalidInputError: not JSON, more values than any request has, or a field that is missing,
            unknown or wrong, which is named in at most 40 letters.
    """
    # none of these stands in base64: what is long is a picture, and cheap to parse
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
