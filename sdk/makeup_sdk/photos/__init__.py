"""Picture files: frames for the engine, plus the file's other content (profile, EXIF, alpha)."""

from makeup_sdk.photos.decode import decode_photo
from makeup_sdk.photos.encode import encode_photo
from makeup_sdk.photos.formats import READ_SUFFIXES, WRITE_SUFFIXES
from makeup_sdk.photos.photo import Photo

__all__ = ["READ_SUFFIXES", "WRITE_SUFFIXES", "Photo", "decode_photo", "encode_photo"]
