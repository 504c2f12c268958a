"""Reads the skeleton of an ONNX file, to refuse what no bundle may hold before a runtime sees it.

A graph of a bundle is self-contained, standard ONNX: no tensor data outside its file, no operator
of another domain, no model-local functions. Only the protobuf wire format is walked (field numbers
of onnx.proto3); nothing is executed and nothing but the file's own bytes is allocated.
"""

from collections.abc import Iterator

from makeup_kernels.errors import BundleError

_STANDARD_DOMAINS = (b"", b"ai.onnx")
_MAX_DEPTH = 16
_EXTERNAL = 1

# field numbers of onnx.proto3
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)
_TENSOR_EXTERNAL_DATA, _TENSOR_LOCATION = 13, 14


class _DamagedError(Exception):
    pass


def check_onnx(model: bytes, where: str) -> None:
    """Refuse an ONNX file that is damaged, not self-contained or not standard.

    Args:
        model: the file's bytes.
        where: names it in messages.

    Raises:
        BundleError: truncated or malformed; external tensor data; an operator domain other than
            the standard one; local functions or training information.
    """
    try:
        graphs = _model(memoryview(model), where)
        if graphs != 1:
            raise _DamagedError(f"{graphs} graphs instead of one")
    except _DamagedError as error:
        raise BundleError(
            f"{where}: damaged ONNX file ({error}); copy or export the bundle again"
        ) from None


def _model(data: memoryview, where: str) -> int:
    graphs = 0
    for field, value in _fields(data):
        if field == _MODEL_GRAPH:
            graphs += 1
            _graph(_bytes(value), where, 0)
        elif field == _MODEL_OPSET:
            for inner, domain in _fields(_bytes(value)):
                if inner == _OPSET_DOMAIN:
                    _check_domain(_bytes(domain), where)
        elif field in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise BundleError(
                f"{where}: holds local functions or training information, expected plain "
                "operators; export the bundle again"
            )
    return graphs


def _graph(data: memoryview, where: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _DamagedError("graphs nested too deeply")
    for field, value in _fields(data):
        if field == _GRAPH_NODE:
            for inner, part in _fields(_bytes(value)):
                if inner == _NODE_DOMAIN:
                    _check_domain(_bytes(part), where)
                elif inner == _NODE_ATTRIBUTE:
                    _attribute(_bytes(part), where, depth)
        elif field == _GRAPH_INITIALIZER:
            _tensor(_bytes(value), where)
        elif field == _GRAPH_SPARSE:
            _sparse(_bytes(value), where)


def _attribute(data: memoryview, where: str, depth: int) -> None:
    for field, value in _fields(data):
        if field in _ATTRIBUTE_TENSORS:
            _tensor(_bytes(value), where)
        elif field in _ATTRIBUTE_GRAPHS:
            _graph(_bytes(value), where, depth + 1)
        elif field in _ATTRIBUTE_SPARSE:
            _sparse(_bytes(value), where)


def _sparse(data: memoryview, where: str) -> None:
    for field, value in _fields(data):
        if field in _SPARSE_TENSORS:
            _tensor(_bytes(value), where)


def _tensor(data: memoryview, where: str) -> None:
    for field, value in _fields(data):
        external = field == _TENSOR_LOCATION and value == _EXTERNAL
        if external or field == _TENSOR_EXTERNAL_DATA:
            raise BundleError(
                f"{where}: a tensor keeps its data in another file; a bundle's graphs are "
                "self-contained, export the bundle again"
            )


def _check_domain(domain: memoryview, where: str) -> None:
    if bytes(domain) not in _STANDARD_DOMAINS:
        shown = bytes(domain[:40]).decode("utf-8", "replace")
        raise BundleError(
            f"{where}: uses operators of the domain {shown!r}; a bundle holds standard ONNX only, "
            "export the bundle again"
        )


def _bytes(value: "memoryview | int") -> memoryview:
    if isinstance(value, int):
        raise _DamagedError("a number where a message should be")
    return value


def _fields(data: memoryview) -> Iterator["tuple[int, memoryview | int]"]:
    """The fields of one protobuf message: number and, by wire type, a slice or an integer."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield field, number
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise _DamagedError(f"wire type {kind}")
        if size > len(data) - at:
            raise _DamagedError("it ends too early")
        yield field, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _DamagedError("it ends too early")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise _DamagedError("a number without end")
