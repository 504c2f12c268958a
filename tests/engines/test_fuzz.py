"""Mutated manifests, graphs and cache entries give a `MakeupError` or a valid result."""

import hashlib
import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeup_engines import Bundle, Cache, Manifest, SessionOptions
from makeup_kernels.errors import MakeupError

VALUES = [
    None, True, -1, 0, 2**63, 10**400, 1.5, float("inf"), "", "../x", "/etc/passwd", "a\x00b",
    "manifest.json", "\ud800", [], [[]], {}, {"a": 1}, ["x"] * 300, "model.onnx", "f" * 64,
]  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    found = []
    for key in list(keys):
        found.append((node, key))
        if isinstance(node[key], dict | list):
            found += places(node[key])
    return found


def mutate(manifest: dict, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(places(manifest))
        kind = chance.randrange(4)
        if kind == 0 and isinstance(container, dict):
            container[str(deepcopy(chance.choice(VALUES)))] = container.pop(key)
        elif kind == 1:
            del container[key]
        else:
            container[key] = deepcopy(chance.choice(VALUES))
        if not places(manifest):
            break
    text = json.dumps(manifest)
    if chance.random() < 0.2:
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice('{}[]",:\x00é9') + text[at + chance.randint(0, 2) :]
    return text


@pytest.mark.parametrize("seed", range(5))
def test_mutated_manifests(rows_bundle_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = rows_bundle_path / "manifest.json"
    original = path.read_text()
    said: list[str] = []
    for _ in range(100):
        path.write_bytes(mutate(json.loads(original), chance).encode("utf-8", "surrogatepass"))
        try:
            bundle = Bundle.open(rows_bundle_path)
            for name, data in bundle.contents.items():
                assert hashlib.sha256(data).hexdigest() == bundle.manifest.files[name]
            for graph in bundle.manifest.graphs:
                bundle.session(graph, threads=1)
        except MakeupError as error:
            said.append(str(error))
    assert len(said) > 30
    assert all(said)


def test_mutated_graphs_with_a_fitting_hash(rows_bundle_path: Path) -> None:
    """A hostile author can hash what he likes: such graphs must fail cleanly or run."""
    chance = random.Random(1)
    graph = (rows_bundle_path / "model.onnx").read_bytes()
    cuts = [graph[:size] for size in range(0, len(graph), 3)]
    flips = []
    for _ in range(80):
        data = bytearray(graph)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        flips.append(bytes(data))
    x = np.ones((1, 4), np.float32)
    said: list[str] = []
    for data in cuts + flips:
        with_hash(rows_bundle_path, data)
        try:
            result = Bundle.open(rows_bundle_path).session("model", threads=1).run({"x": x})
            assert result.keys() == {"y"}
        except MakeupError as error:
            said.append(str(error))
    assert len(said) > len(cuts) / 2
    assert all(said)


def with_hash(folder: Path, data: bytes) -> None:
    (folder / "model.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_swapped_and_truncated_files_are_never_opened(rows_bundle_path: Path) -> None:
    graph = (rows_bundle_path / "model.onnx").read_bytes()
    for data in (b"", graph[:-1], graph + b"\0", graph[::-1]):
        (rows_bundle_path / "model.onnx").write_bytes(data)
        with pytest.raises(MakeupError, match="changed or damaged"):
            Bundle.open(rows_bundle_path)


def test_mutated_cache_entries(tmp_path: Path) -> None:
    chance = random.Random(2)
    cache = Cache(tmp_path)
    facts = {"graph": "g", "profile": {"batch": 1}}
    plan = bytes(range(256))
    said: list[str] = []
    for _ in range(150):
        entry = cache.store(facts, {"engine.plan": plan})
        record = entry.path / "entry.json"
        if chance.random() < 0.3:
            (entry.path / "engine.plan").write_bytes(plan[: chance.randrange(256)])
        else:
            record.write_bytes(
                mutate(json.loads(record.read_text()), chance).encode("utf-8", "surrogatepass")
            )
        try:
            found = cache.find(facts)
            if found is not None and "engine.plan" in found.digests:
                assert found.read("engine.plan") == plan
        except MakeupError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all(said)


def test_optimised_graphs_are_checked_before_they_load(rows_bundle_path: Path, tmp_path) -> None:
    options = SessionOptions(cache=tmp_path, threads=1)
    x = {"x": np.ones((2, 4), np.float32)}
    bundle = Bundle.open(rows_bundle_path)
    first = bundle.session("model", options=options).run(x)["y"]
    (file,) = tmp_path.rglob("optimised.onnx")
    np.testing.assert_array_equal(bundle.session("model", options=options).run(x)["y"], first)
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(MakeupError, match="changed or damaged"):
        bundle.session("model", options=options)


def test_numbers_that_json_lacks() -> None:
    for text in ('{"schema": NaN}', '{"schema": 1, "schema": 1}', "1" * 5000):
        with pytest.raises(MakeupError, match="not valid JSON"):
            Manifest.parse(text, "m")
