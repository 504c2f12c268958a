"""Refuse ONNX files with content that bundles must not have, before a runtime sees them.

A graph of a bundle is self-contained, standard ONNX: no tensor data outside its file, no operators
of other domains, no model-local functions, no loops or branches. Checking executes nothing and
allocates no memory beyond the file's size. Only one canonical byte form is accepted (`onnx_wire`),
so a runtime reads exactly what was checked.
"""

import math
from collections.abc import Mapping

from makeup_engines.onnx_wire import DamagedError, Kept, Value, Walk
from makeup_kernels.errors import BundleError

_STANDARD_DOMAINS = ("", "ai.onnx")
_DOMAINS = {"OperatorSetIdProto": 1, "NodeProto": 7}
_DIMS, _STRING_DATA, _DATA_LOCATION = 1, 6, 14
_DATA = (4, 5, 6, 7, 9, 10, 11)
_ELEMENTS_PER_BYTE = 4
"""Maximum, in the narrowest type (2 bits)."""

_CONTROL_FLOW = "holds loops or branches (Loop, Scan, If), expected plain operators"
_FUNCTIONS = "holds local functions or training information, expected plain operators"
_EXTERNAL = "a tensor keeps its data in another file; a bundle's graphs are self-contained"
_SPARSE = "holds sparse tensors, expected dense ones"
_FOREIGN = {
    ("ModelProto", 20): _FUNCTIONS,
    ("ModelProto", 25): _FUNCTIONS,
    ("GraphProto", 15): _SPARSE,
    ("AttributeProto", 6): _CONTROL_FLOW,
    ("AttributeProto", 11): _CONTROL_FLOW,
    ("AttributeProto", 22): _SPARSE,
    ("AttributeProto", 23): _SPARSE,
    ("TensorProto", 13): _EXTERNAL,
}


def check_onnx(model: bytes, where: str) -> None:
    """Refuse an ONNX file that is damaged, not self-contained or not standard.

    Args:
        model: the file's bytes.
        where: names it in messages.

    Raises:
        BundleError: truncated, malformed or not in canonical protobuf form; external tensor data; a
            tensor that claims more elements than it holds; an operator domain other than the
            standard one; loops, branches, local functions, training information, sparse tensors, or
            anything else that a plain graph does not need.
    """
    try:
        walk = Walk(model)
        complaint = _foreign(*walk.foreign) if walk.foreign else _first_complaint(walk.kept)
        if complaint is not None:
            raise BundleError(f"{where}: {complaint}; export the bundle again")
        if not any(message == "ModelProto" for message, _ in walk.kept):
            raise DamagedError("it holds no graph")
    except DamagedError as error:
        raise BundleError(
            f"{where}: damaged ONNX file ({error}); copy or export the bundle again"
        ) from None


def _foreign(name: str, number: int) -> str:
    reason = _FOREIGN.get((name, number))
    if reason is None:
        raise DamagedError(f"no plain graph has a field {number} of {name}")
    return reason


def _first_complaint(messages: list[Kept]) -> str | None:
    return next(filter(None, map(_complaint, messages)), None)


def _complaint(message: Kept) -> str | None:
    """What is wrong with one message; None if nothing is."""
    name, values = message
    if name == "TensorProto":
        return _tensor_complaint(values)
    if name in _DOMAINS:
        for domain in values.get(_DOMAINS[name], ()):
            if domain not in _STANDARD_DOMAINS:
                shown = str(domain)[:40]
                return f"uses operators of the domain {shown!r}; a bundle holds standard ONNX only"
    if name == "TensorShapeProto.Dimension" and len(values) > 1:
        raise DamagedError("a dimension that is a number and a name")
    return None


def _tensor_complaint(values: Mapping[int, list[Value]]) -> str | None:
    if values.get(_DATA_LOCATION, [0]) != [0]:
        return _EXTERNAL
    dims = [int(size) for size in values.get(_DIMS, ())]
    data = [int(size) for field in _DATA for size in values.get(field, ())]
    held = _ELEMENTS_PER_BYTE * (sum(data) + len(values.get(_STRING_DATA, ())))
    # a negative size reads as a number above 2**63, so it is too large
    if math.prod(dims) > held:
        return f"a tensor of shape {str(dims)[:60]} holds {sum(data)} bytes"
    return None
