"""Bundles of the face analysis' networks: the same answers as PyTorch, in half the space."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from makeup_engines import Bundle
from makeup_export.face_networks import export_detector, export_landmarks
from makeup_export.onnx_graphs import OPSET
from makeup_kernels import BundleError
from makeup_training.faces.checkpoints import save_atomically
from makeup_training.faces.networks import FaceDetector, LandmarkRegionNet, LipNet


def exported(tmp_path: Path, name: str) -> tuple[onnxruntime.InferenceSession, dict]:
    torch.manual_seed(0)
    network = FaceDetector(8) if name == "face_detector" else LandmarkRegionNet(8)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    state = {name: value.half().to(value.dtype) for name, value in network.state_dict().items()}
    save_atomically({"average": state, "width": 8, "step": 1, "size": 96}, tmp_path / "net.pt")
    if name == "face_detector":
        export_detector(tmp_path / "net.pt", tmp_path / name, {})
    else:
        export_landmarks(tmp_path / "net.pt", None, tmp_path / name, {})
    manifest = json.loads((tmp_path / name / "manifest.json").read_text())
    network.load_state_dict(state)
    session = onnxruntime.InferenceSession(
        tmp_path / name / "model.onnx", providers=["CPUExecutionProvider"]
    )
    return network.eval(), session, manifest


@torch.no_grad()
@pytest.mark.parametrize("shape", [(96, 160), (64, 64)])
def test_exported_detector_equals_the_network_at_any_size(tmp_path: Path, shape):
    network, session, manifest = exported(tmp_path, "face_detector")
    image = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(1))
    (cells,) = session.run(None, {"image": image.numpy()})
    expected = torch.cat([level.flatten(2) for level in network(image)], dim=2).numpy()
    np.testing.assert_allclose(cells, expected, atol=0.01)
    assert manifest["constants"] == {"long_side": 320, "strides": [8, 16, 32]}
    assert {d["licence"] for d in manifest["weights"]["training_data"]} == {"CC0-1.0", "MIT"}


@torch.no_grad()
@pytest.mark.parametrize("faces", [1, 3])
def test_exported_landmark_net_equals_the_network(tmp_path: Path, faces):
    network, session, manifest = exported(tmp_path, "face_landmarks_regions")
    image = torch.rand(faces, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    landmarks, score, regions = session.run(None, {"image": image.numpy()})
    expected = network(image)
    np.testing.assert_allclose(landmarks, expected[0].numpy(), atol=2e-3)
    np.testing.assert_allclose(score, expected[1].sigmoid().numpy(), atol=2e-3)
    np.testing.assert_allclose(regions, expected[2].numpy(), atol=0.02)
    assert manifest["graphs"]["model"]["outputs"][2]["shape"] == ["batch", 5, 96, 96]
    torch_session = Bundle.open(tmp_path / "face_landmarks_regions").session(
        "model", backend="torch", threads=1
    )
    found = torch_session.run({"image": image.numpy()})
    np.testing.assert_allclose(found["landmarks"], landmarks, rtol=1e-4)
    np.testing.assert_allclose(found["score"], score, rtol=1e-4)


def test_exported_weights_take_half_the_space(tmp_path: Path):
    exported(tmp_path, "face_detector")
    model = onnx.load(tmp_path / "face_detector" / "model.onnx")
    stored = sum(len(t.raw_data) for t in model.graph.initializer)
    weights = sum(p.numel() for p in FaceDetector(8).parameters())
    assert stored < 2.2 * weights


@torch.no_grad()
@pytest.mark.parametrize("faces", [1, 3])
def test_exported_lip_net_equals_the_network(tmp_path: Path, faces):
    torch.manual_seed(0)
    other = {"average": LandmarkRegionNet(8).state_dict(), "width": 8, "step": 1, "size": 96}
    save_atomically(other, tmp_path / "net.pt")
    network = LipNet().eval()
    state = {name: value.half().to(value.dtype) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    save_atomically({"average": state, "step": 7}, tmp_path / "lips.pt")
    folder = tmp_path / "face_landmarks_regions"
    metrics = {"regions": {"lips": 0.9}}
    export_landmarks(tmp_path / "net.pt", tmp_path / "lips.pt", folder, metrics)
    bundle = Bundle.open(folder)
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(faces, 3, 64, 96, generator=generator)
    regions = 4 * torch.randn(faces, 5, 40, 60, generator=generator)
    expected = network(image, regions).numpy()
    for backend in ("onnxruntime", "torch"):
        session = bundle.session("lips", backend=backend, threads=1)
        found = session.run({"image": image.numpy(), "regions": regions.numpy()})["lips"]
        np.testing.assert_allclose(found, expected, atol=0.01)
    assert bundle.manifest.weights["lip_steps"] == 7
    assert bundle.manifest.weights["metrics"]["regions"] == {"lips": 0.9}
    assert {"model", "lips"} == set(bundle.manifest.graphs)


def test_one_opset_and_nothing_overwritten(tmp_path: Path):
    exported(tmp_path, "face_detector")
    model = onnx.load(tmp_path / "face_detector" / "model.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    with pytest.raises(BundleError, match="face_detector"):
        export_detector(tmp_path / "net.pt", tmp_path / "face_detector", {})
