"""Manifests and command-line values: valid ones are preserved, others give a `MakeupError`."""

import json
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makeup_engines.manifest import DTYPES, Manifest
from makeup_kernels import BundleError, InvalidInputError, Region
from makeup_sdk.cli.options import NAMES, parse_look, parse_share, parse_strength
from makeup_sdk.colors import parse_color
from makeup_sdk.frame import normalize_strength

BOUNDED = settings(max_examples=25, deadline=None, derandomize=True, database=None)

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
files = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}\.onnx", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
finite = st.floats(-1e8, 1e8)
tensors = st.fixed_dictionaries(
    {
        "name": names,
        "dtype": st.sampled_from(DTYPES),
        "shape": st.lists(st.integers(1, 8) | names.filter(str.isidentifier), max_size=8),
    }
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def manifests(draw: st.DrawFn) -> dict:
    listed = draw(st.dictionaries(files, digests, min_size=1, max_size=3))
    graph = st.fixed_dictionaries(
        {
            "file": st.sampled_from(sorted(listed)),
            "inputs": st.lists(tensors, max_size=2),
            "outputs": st.lists(tensors, max_size=2),
        },
        optional={"runs": st.sampled_from(("frame", "look"))},
    )
    three = st.lists(finite, min_size=3, max_size=3)
    return {
        "schema": 1,
        "model": draw(st.text(max_size=8)),
        "precision": draw(st.sampled_from(("fp32", "fp16", "int8"))),
        "target": "onnx",
        "color": draw(st.sampled_from(("bgr", "rgb"))),
        "normalization": {"mean": draw(three), "scale": draw(three)},
        "graphs": draw(st.dictionaries(names, graph, max_size=3)),
        "files": listed,
        "tools": draw(st.dictionaries(names, st.text(max_size=5), max_size=2)),
        "weights": {"licence": "Apache-2.0", "training_data": []},
        "constants": draw(st.dictionaries(names, st.integers(), max_size=2)),
    }


@BOUNDED
@given(manifests())
def test_valid_manifests_arrive_whole(fields):
    manifest = Manifest.parse(json.dumps(fields), "here")
    for name in ("model", "precision", "target", "color", "files", "tools", "weights", "constants"):
        assert getattr(manifest, name) == fields[name]
    assert list(manifest.normalization.mean) == fields["normalization"]["mean"]
    assert list(manifest.normalization.scale) == fields["normalization"]["scale"]
    assert manifest.graphs.keys() == fields["graphs"].keys()
    for name, graph in manifest.graphs.items():
        entry = fields["graphs"][name]
        assert (graph.file, graph.runs) == (entry["file"], entry.get("runs", "frame"))
        for got, given_ in ((graph.inputs, entry["inputs"]), (graph.outputs, entry["outputs"])):
            assert [vars(tensor) for tensor in got] == [
                {**tensor, "shape": tuple(tensor["shape"])} for tensor in given_
            ]
        free = any(isinstance(size, str) for t in entry["inputs"] for size in t["shape"])
        assert graph.any_batch is free


@BOUNDED
@given(manifests(), st.data())
def test_a_field_replaced_by_anything(fields, data):
    field = data.draw(st.sampled_from(sorted(fields)))
    fields[field] = data.draw(anything)
    with suppress(BundleError):
        parsed = Manifest.parse(json.dumps(fields), "here")
        assert math.isfinite(sum(parsed.normalization.mean))


@BOUNDED
@given(anything)
def test_other_json_is_no_manifest(content):
    with pytest.raises(BundleError, match=r"^here: "):
        Manifest.parse(json.dumps(content), "here")


@BOUNDED
@given(st.binary(min_size=3, max_size=3), st.booleans(), st.booleans(), st.sampled_from(("", " ")))
def test_colors_arrive_whole(levels, hash_, upper, blank):
    text = levels.hex().upper() if upper else levels.hex()
    color = parse_color(f"{blank}{'#' if hash_ else ''}{text}{blank}")
    assert color.dtype == np.uint8
    assert color.tolist() == list(levels)[::-1]


@BOUNDED
@given(st.text() | st.text(alphabet="#0123456789abcdefgABCDEF ", max_size=9) | anything)
def test_other_text_is_no_color(text):
    hexadecimal = isinstance(text, str) and set(text.strip().removeprefix("#")) <= set(
        "0123456789abcdefABCDEF"
    )
    if hexadecimal and len(text.strip().removeprefix("#")) in (3, 6):
        assert parse_color(text).shape == (3,)
    else:
        with pytest.raises(InvalidInputError, match=r"^lips: .* is not a colour"):
            parse_color(text, "lips")


@BOUNDED
@given(
    st.floats(0, 1.5),
    st.dictionaries(st.sampled_from(sorted(NAMES)), st.none() | st.floats(0, 1.5)),
)
def test_strength_and_regions(strength, amounts):
    entries = [name if amount is None else f"{name}={amount!r}" for name, amount in amounts.items()]
    got = normalize_strength(parse_strength(strength, entries))
    expected = {NAMES[name]: strength if n is None else n for name, n in amounts.items()}
    for region in NAMES.values():
        assert got.get(region, 0) == (expected.get(region, 0) if amounts else strength)


@BOUNDED
@given(st.floats() | st.floats(0, 1), st.lists(st.text(max_size=6) | st.sampled_from(
    ("lips=nan", "eyes=inf", "lips=-1", "skin=1e400", "skin=0x1", "lips==", "eyes=1_0", "lips= 1")
), max_size=2))  # fmt: skip
def test_other_strengths_are_refused(strength, entries):
    try:
        got = normalize_strength(parse_strength(strength, entries))
    except InvalidInputError:
        return
    assert all(isinstance(region, Region) and 0 <= n <= 1.5 for region, n in got.items())


@BOUNDED
@given(st.text(), st.floats(allow_nan=False))
def test_shares_arrive_whole(path, share):
    assert parse_share(f"{path}={share!r}") == (path, share)


@BOUNDED
@given(st.text())
def test_any_share_or_look(text):
    with suppress(InvalidInputError):
        path, share = parse_share(text)
        assert isinstance(share, float)
        assert text.startswith(path)
    if text != "bare":
        with suppress(InvalidInputError):
            assert parse_look(text) == text or text.startswith("style:")
