"""Face analysis: the detector against YuNet, its networks on ONNX Runtime against ncnn and OpenCV.

The peers run the very same network, converted by pnnx for ncnn, and must give the same landmarks
and region map (the confidence, a handful of numbers, is left out: pnnx converts it wrongly). YuNet
(Apache-2.0) is read from the faces folder, `teachers/yunet_n_dynamic.onnx` below MAKEUP_FACES; it
sees the frame at the size that our detector shrinks it to, and once at the full size, as OpenCV's
samples use it. How well our detector finds faces stands in faces.md.
"""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_kernels.region_maps.cpu import region_map
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import scene
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.weights import FOLDER as MODELS

NETWORK = MODELS / "face_landmarks_regions" / "model.onnx"
SIDE = 160
FACES = Path(os.environ.get("MAKEUP_FACES", Path(__file__).parents[2] / "shared" / "faces"))
YUNET = FACES / "teachers" / "yunet_n_dynamic.onnx"


@pytest.fixture(scope="module")
def frame():
    return scene(Scenario("image", 1280, 720, 1))[0]


@pytest.fixture(scope="module")
def analyzer(threads):
    return BundledFaceAnalyzer(threads=threads)


@pytest.fixture(scope="module")
def crop(frame, analyzer):
    """Network input float32 (1, 3, 160, 160) of the face in the frame."""
    found = analyzer.analyze(frame, analyzer.detect(frame, 1)[0]).crop
    small = cv2.resize(found, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / 255


@pytest.mark.benchmark(group="detect one face, 1280×720")
class TestDetect:
    def test_makeup_sdk(self, frame, analyzer, measure):
        assert len(measure(lambda: analyzer.detect(frame, 8), rounds=40, ours=True)) == 1

    @pytest.mark.parametrize("side", [320, 1280])
    def test_opencv_yunet(self, side, frame, threads, measure):
        if not YUNET.is_file():
            pytest.skip(f"no YuNet in {YUNET.parent}; set MAKEUP_FACES to the faces folder")
        size = (side, round(side * 720 / 1280))
        detector = cv2.FaceDetectorYN.create(str(YUNET), "", size, 0.8)

        def run():
            small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            return detector.detect(small)[1]

        assert len(measure(run, rounds=20)) == 1


def run_onnxruntime(image, threads):
    session = BundledFaceAnalyzer(threads=threads).network._session

    def run():
        found = session.run({"image": image})
        return found["landmarks"][0], found["regions"]

    return run


def run_opencv(image, threads):
    network = cv2.dnn.readNetFromONNX(str(NETWORK))

    def run():
        network.setInput(image)
        landmarks, _, regions = network.forward(["landmarks", "score", "regions"])
        return landmarks[0], regions

    return run


def run_ncnn(image, threads, folder):
    ncnn = pytest.importorskip("ncnn", reason="a peer needs ncnn: pip install ncnn pnnx")
    pytest.importorskip("pnnx", reason="a peer needs pnnx: pip install ncnn pnnx")
    copy = folder / "model.onnx"
    copy.write_bytes(NETWORK.read_bytes())
    convert = [Path(sys.executable).parent / "pnnx", copy, f"inputshape=[1,3,{SIDE},{SIDE}]"]
    subprocess.run(convert, cwd=folder, capture_output=True, check=True)
    network = ncnn.Net()
    network.opt.num_threads = threads
    network.load_param(str(folder / "model.ncnn.param"))
    network.load_model(str(folder / "model.ncnn.bin"))
    planes = ncnn.Mat(image[0]).clone()

    def run():
        with network.create_extractor() as extractor:
            extractor.input("in0", planes)
            landmarks, regions = (extractor.extract(name)[1] for name in ("out0", "out2"))
            return landmarks.numpy(batch_index=0)[0].copy(), regions.numpy(batch_index=0).copy()

    return run


def assert_same(found, expected):
    """Landmarks to a thousandth of the crop's side, region logits to a hundredth."""
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-2)


@pytest.mark.benchmark(group="landmark and region network, one face (0.18 GMAC)")
class TestNetwork:
    def test_onnxruntime(self, crop, threads, measure):
        measure(run_onnxruntime(crop, threads), rounds=60, ours=True)

    def test_ncnn(self, crop, threads, measure, tmp_path):
        found = measure(run_ncnn(crop, threads, tmp_path), rounds=60)
        assert_same(found, run_onnxruntime(crop, threads)())

    def test_opencv_dnn(self, crop, threads, measure):
        found = measure(run_opencv(crop, threads), rounds=60)
        assert_same(found, run_onnxruntime(crop, threads)())


@pytest.mark.benchmark(group="analyse one face, 1280×720")
class TestAnalyze:
    def test_tracked(self, frame, analyzer, measure):
        landmarks = analyzer.analyze(frame, analyzer.detect(frame, 1)[0]).landmarks
        measure(lambda: analyzer.analyze(frame, landmarks), rounds=40, ours=True)

    def test_from_detection(self, frame, analyzer, measure):
        detection = analyzer.detect(frame, 1)[0]
        measure(lambda: analyzer.analyze(frame, detection), rounds=40)

    def test_region_map_alone(self, frame, analyzer, measure):
        crop = analyzer.analyze(frame, analyzer.detect(frame, 1)[0]).crop
        found = analyzer.network.analyze(crop)
        measure(lambda: region_map(found.logits, found.landmarks, 256), rounds=40)
