"""Videos of 10 bits and HDR keep their depth and tones, with makeup on them."""

from pathlib import Path

import numpy as np
import pytest
from clips import seen, tone, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from makeup_sdk import InvalidInputError, Result
from makeup_sdk.stream import (
    Ending,
    FolderSink,
    ReconnectOptions,
    Stream,
    StreamOptions,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream import tone as tones
from makeup_sdk.stream.sources import open_source
from makeup_sdk.stream.tone import HLG, PQ, Tone
from makeup_sdk.stream.video_format import to_array

Image = NDArray[np.uint8]
BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PATCH = (slice(16, 32), slice(24, 48))
SDR = {"colorspace": 1, "color_primaries": 1, "color_trc": 1}
HDR = {"colorspace": 9, "color_primaries": 9}


@pytest.mark.parametrize(
    ("signal", "nits"), [(0.5081, 100), (0.5807, 203), (0.7518, 1000), (1.0, 10_000), (0.0, 0)]
)
def test_pq(signal: float, nits: float) -> None:
    """Values of ITU-R BT.2408, tables 1 and 2."""
    assert tones.pq_light(np.array(signal)) * 203 == pytest.approx(nits, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize(("signal", "scene"), [(0.5, 1 / 12), (0.75, 0.2650), (1.0, 1), (0.0, 0)])
def test_hlg(signal: float, scene: float) -> None:
    """Values of ITU-R BT.2100 and BT.2408."""
    assert tones.hlg_light(np.array(signal)) * 0.2650 == pytest.approx(scene, rel=2e-3, abs=1e-6)


@BOUNDED
@given(st.floats(0, 1))
def test_curves_and_their_inverses(signal: float) -> None:
    for light, back in (
        (tones.pq_light, tones.pq_signal),
        (tones.hlg_light, tones.hlg_signal),
    ):
        assert back(light(np.array(signal))) == pytest.approx(signal, abs=2e-6)


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.5807), (HLG, 0.75)])
def test_diffuse_white_is_seen_as_white(transfer: int, white: float) -> None:
    samples = np.full((2, 2, 3), round(white * 65535), np.uint16)
    assert (Tone(transfer, 9).view(samples) >= 254).all()
    assert (Tone(transfer, 9).view(samples // 2) < 130).all()
    assert (Tone(transfer, 9).view(np.full((2, 2, 3), 65535, np.uint16)) == 255).all()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_sdr_picture_in_an_hdr_file_is_seen_as_it_was(transfer: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.float64)
    value = picture / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_2020 = np.array(  # ITU-R BT.2087
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    wide = linear[..., ::-1] @ to_2020.T
    signal = (tones.pq_signal if transfer == PQ else tones.hlg_signal)(wide)[..., ::-1]
    view = Tone(transfer, 9).view(np.rint(signal * 65535).astype(np.uint16))
    lit = linear.min(axis=2) > 0.02
    np.testing.assert_allclose(view[lit], picture[lit], atol=2)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_makeup_is_a_factor_on_the_light(transfer: int) -> None:
    """Half the light in sRGB is half the light of the HDR picture; the rest stays."""
    random = np.random.default_rng(0)
    samples = random.integers(20_000, 34_000, (48, 64, 3)).astype(np.uint16)
    samples = (samples * 0.3 + 0.7 * samples.mean(axis=2, keepdims=True)).astype(np.uint16)
    kind = Tone(transfer, 9)
    view = kind.view(samples)
    result = view.copy()
    linear = (((view[PATCH] / 255) + 0.055) / 1.055) ** 2.4
    result[PATCH] = np.rint(255 * (1.055 * (linear / 2) ** (1 / 2.4) - 0.055))
    made = kind.wearing(samples, view, result)
    away = np.ones((48, 64), bool)
    away[PATCH] = False
    np.testing.assert_array_equal(made[away], samples[away])
    light = tones.pq_light if transfer == PQ else tones.hlg_light
    ratio = light(made[PATCH] / 65535).mean() / light(samples[PATCH] / 65535).mean()
    assert ratio == pytest.approx(0.5, abs=0.02)


def paint(image: Image, time: float) -> Result:
    """An engine that darkens a patch."""
    made = image.copy()
    made[PATCH] = made[PATCH] // 2
    return Result(made, (), {})


def deep_frames(low: int, high: int) -> list[NDArray[np.uint16]]:
    """A ramp of 64 steps, finer than 8 bits, that moves."""
    ramp = np.linspace(low, high, 64)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    return [(ramp + 40 * k).astype(np.uint16) for k in range(6)]


def read_deep(path: Path) -> NDArray[np.uint16]:
    """The last frame as the file holds it."""
    source = open_source(path, 25.0, ReconnectOptions(), lambda seconds: False)
    assert source.info.deep is not None
    source.info.deep.want()
    frames = list(iter(source.read, None))
    source.close()
    return source.info.deep.take(len(frames) - 1)[0]


@pytest.mark.parametrize("stored", [SDR, {**HDR, "color_trc": HLG}, {**HDR, "color_trc": PQ}])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_depth_and_tones_are_kept(tmp_path: Path, stored: dict[str, int], suffix: str) -> None:
    images = deep_frames(30_000, 34_000)  # 16 steps of 8 bits
    clip = write_clip(
        tmp_path / "in.mp4", images, codec="libx265", pixel_format="yuv420p10le", stream=stored,
        options={"crf": "4", "x265-params": "log-level=error"}, sounds=[("aac", 0.0, tone(0.2))],
    )  # fmt: skip
    source = open_source(clip, 25.0, ReconnectOptions(), lambda seconds: False)
    out = tmp_path / f"out{suffix}"
    stream = Stream(
        source, paint, StreamOptions(), sink=VideoFileSink(out, VideoOptions(quality=5))
    )
    stream.run()
    assert stream.ending is Ending.FINISHED
    again = open_source(out, 25.0, ReconnectOptions(), lambda seconds: False)
    video = again.info.video
    again.close()
    assert video is not None
    assert video.bits == 10
    assert (video.matrix, video.primaries, video.transfer) == (
        stored["colorspace"],
        stored["color_primaries"],
        stored["color_trc"],
    )
    before, after = read_deep(clip), read_deep(out)
    away = np.ones((48, 64), bool)
    away[8:40, 16:56] = False
    difference = np.abs(after.astype(int) - before)[away]
    assert difference.mean() < 130  # two of 1023 steps
    steps = np.diff(after[2, :, 1].astype(int))
    assert (steps >= 0).mean() > 0.9
    assert len(np.unique(after[2, :, 1] // 64)) > 30  # 8 bits have 16
    inside = (slice(20, 28), slice(30, 42))
    assert (after[inside] < before[inside] * 0.93).all()


def test_highlights_are_not_cut(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), 60_000, np.uint16)] * 4  # HLG 0.92, far above white
    clip = write_clip(
        tmp_path / "in.mkv", images, pixel_format="yuv420p10le", stream={**HDR, "color_trc": HLG}
    )
    source = open_source(clip, 25.0, ReconnectOptions(), lambda seconds: False)
    read = source.read()
    assert read is not None
    assert (read[0] == 255).all()
    source.close()
    again = open_source(clip, 25.0, ReconnectOptions(), lambda seconds: False)
    Stream(again, paint, StreamOptions(), sink=VideoFileSink(tmp_path / "out.mp4")).run()
    np.testing.assert_allclose(read_deep(tmp_path / "out.mp4")[:8], 60_000, atol=600)


def test_what_cannot_hold_the_depth_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(
        tmp_path / "in.mp4", deep_frames(20_000, 40_000), pixel_format="yuv420p10le", stream=SDR
    )

    def run(sink: VideoFileSink | FolderSink) -> Stream:
        source = open_source(clip, 25.0, ReconnectOptions(), lambda seconds: False)
        stream = Stream(source, paint, StreamOptions(), sink=sink)
        stream.run()
        return stream

    with pytest.raises(InvalidInputError, match="avi files cannot hold the 10 bits a sample"):
        run(VideoFileSink(tmp_path / "out.avi"))
    with pytest.raises(InvalidInputError, match="libvpx-vp9 cannot hold the 10 bits a sample"):
        run(VideoFileSink(tmp_path / "out.mkv", VideoOptions("libvpx-vp9")))
    options = VideoOptions("libx264", pixel_format="yuv420p")  # 8 bits, by name
    assert run(VideoFileSink(tmp_path / "out.mp4", options)).ending is Ending.FINISHED
    assert len(seen(tmp_path / "out.mp4")) == 6
    run(FolderSink(tmp_path / "frames"))
    assert "its images will be in SDR with 8; a video file" in caplog.text


def test_an_array_is_made_from_the_samples_alone() -> None:
    """10-bit grey of known value, in both ranges."""
    import av

    from makeup_sdk.stream.video_format import VideoFormat

    for full, code, value in ((True, 512, 512 / 1023), (False, 502, (502 - 64) / 876)):
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, value_of_plane in zip(frame.planes, (code, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value_of_plane, np.uint16).tobytes())
        image = to_array(frame, VideoFormat(30, full_range=full, bits=10), deep=True)  # type: ignore[arg-type]
        np.testing.assert_allclose(image / 65535, value, atol=2e-3)
