"""Sound, subtitles, chapters and tags are copied in sync with the pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import beeps, facts, heard, made_of, number_in, onsets, ramp, seen, tone, write_clip
from fakes import process

from makeup_sdk.stream import (
    Ending,
    ReconnectOptions,
    Stream,
    StreamOptions,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream.sources import open_source

RAMP = [ramp(k) for k in range(30)]


@pytest.mark.parametrize(
    ("suffix", "picture_at", "sound_at"),
    [
        (".mp4", 0.0, 0.85),
        (".mp4", 0.85, 0.0),
        (".mkv", 0.85, 0.2),
        (".ts", 20.0, 20.0),
        (".ts", 20.85, 20.0),
        (".ts", 0.0, 0.5),
    ],
)
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".webm"])
def test_sound_stays_with_the_picture(
    tmp_path: Path, suffix: str, picture_at: float, sound_at: float, target: str
) -> None:
    """A flash and a beep at the same moment of the source stay at the same moment."""
    images = [ramp(255 if k in (30, 60) else 0) for k in range(90)]
    times = [picture_at + k / 30 for k in range(90)]
    flashes = [picture_at + 1.0, picture_at + 2.0]
    wave = beeps(3.0, [at - sound_at for at in flashes])
    source = write_clip(
        tmp_path / f"in{suffix}", images, times=times, sounds=[("aac", sound_at, wave)]
    )
    out = tmp_path / f"out{target}"
    assert made_of(source, out).ending is Ending.FINISHED
    lit = [at for at, image in seen(out) if number_in(image) == 255]
    np.testing.assert_allclose(onsets(*heard(out)), lit, atol=0.03)
    assert lit[1] - lit[0] == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    ("source", "codec", "target", "sound"),
    [
        (".mkv", "pcm_s16le", ".mp4", "aac"),
        (".mkv", "flac", ".mov", "aac"),
        (".mkv", "aac", ".webm", "opus"),
        (".mkv", "libopus", ".mp4", "opus"),
        (".mkv", "libmp3lame", ".avi", "mp3"),
        (".mkv", "ac3", ".webm", "opus"),
    ],
)
def test_sound_is_copied_or_encoded_anew(
    tmp_path: Path, source: str, codec: str, target: str, sound: str
) -> None:
    clip = write_clip(tmp_path / f"in{source}", RAMP, sounds=[(codec, 0.0, tone(1.0))])
    out = tmp_path / f"out{target}"
    assert made_of(clip, out).ending is Ending.FINISHED
    (found,) = facts(out)["sound"]
    assert found.removeprefix("lib").removesuffix("float") == sound
    _, samples = heard(out)
    assert 0.93 < len(samples) / 48_000 < 1.1
    assert np.abs(samples[4800:40_000]).mean() > 3000


def test_all_tracks_chapters_and_tags_come_along(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "plain.mkv",
        RAMP,
        sounds=[("aac", 0.0, tone(1.0)), ("aac", 0.0, tone(1.0, hertz=880))],
    )
    source = tmp_path / "in.mkv"
    add_extras(clip, source)
    out = tmp_path / "out.mkv"
    assert made_of(source, out).ending is Ending.FINISHED
    with av.open(str(out)) as made:
        assert [track.language for track in made.streams.audio] == ["deu", "fra"]
        (texts,) = made.streams.subtitles
        lines = [bytes(p) for p in made.demux(texts) if p.size]
        assert lines == [b"<i>Hello</i>", b"Bye"]
        assert made.metadata["TITLE" if "TITLE" in made.metadata else "title"] == "Wedding"
        names = [chapter["metadata"]["title"] for chapter in made.chapters()]
        assert names == ["First", "Second"]
    for track, hertz in ((0, 440), (1, 880)):
        _, samples = heard(out, track)
        spectrum = np.abs(np.fft.rfft(samples[4800:38400]))
        assert abs(np.argmax(spectrum) * 48_000 / 33600 - hertz) < 5


def add_extras(clip: Path, target: Path) -> None:
    """Copy a clip, with languages, a subtitle track, chapters and a title."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for copy, language in zip(out.streams.audio, ("deu", "fra"), strict=True):
            copy.metadata["language"] = language
        texts = out.add_mux_stream("subrip")
        out.metadata["title"] = "Wedding"
        base = Fraction(1, 1000)
        out.set_chapters(
            [
                {"id": k, "start": 500 * k, "end": 500 * k + 500, "time_base": base,
                 "metadata": {"title": title}}
                for k, title in enumerate(("First", "Second"))
            ]
        )  # fmt: skip
        for start, text in ((100, b"<i>Hello</i>"), (600, b"Bye")):
            packet = av.Packet(text)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = 200, base, texts
            out.mux(packet)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)


def texts_of(path: Path) -> list[tuple[float, bytes]]:
    """Seconds from the first picture, and content, of each subtitle."""
    start = seen(path)[0][0]
    with av.open(str(path)) as container:
        (track,) = container.streams.subtitles
        packets = [packet for packet in container.demux(track) if packet.size]
        return [(float(p.pts * p.time_base) - start, bytes(p)) for p in packets]


def test_subtitles_of_plain_text_change_their_codec(tmp_path: Path) -> None:
    """SubRip in .mkv to the texts of .mp4, without tags, and back."""
    clip = write_clip(tmp_path / "plain.mkv", RAMP, sounds=[("aac", 0.0, tone(1.0))] * 2)
    add_extras(clip, tmp_path / "in.mkv")
    assert made_of(tmp_path / "in.mkv", tmp_path / "out.mp4").ending is Ending.FINISHED
    shown = [(at, text) for at, text in texts_of(tmp_path / "out.mp4") if text != b"\0\0"]
    assert [text for _, text in shown] == [b"\0\x05Hello", b"\0\x03Bye"]
    np.testing.assert_allclose([at for at, _ in shown], [0.1, 0.6], atol=2e-3)
    assert made_of(tmp_path / "out.mp4", tmp_path / "again.mkv").ending is Ending.FINISHED
    again = texts_of(tmp_path / "again.mkv")
    assert [text for _, text in again] == [b"Hello", b"Bye"]
    np.testing.assert_allclose([at for at, _ in again], [0.1, 0.6], atol=2e-3)


def test_subtitles_that_cannot_be_kept_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "plain.mkv", RAMP, sounds=[("aac", 0.0, tone(1.0))] * 2)
    add_extras(clip, tmp_path / "in.mkv")
    assert made_of(tmp_path / "in.mkv", tmp_path / "out.webm").ending is Ending.FINISHED
    assert "out.webm: subtitle track 1 cannot be kept in webm; .mkv keeps most" in caplog.text
    assert len(facts(tmp_path / "out.webm")["sound"]) == 2


@pytest.mark.parametrize(("codec", "target"), [("aac", ".webm"), ("aac", ".mp4"), ("ac3", ".webm")])
def test_damaged_sound_stays_in_time(
    tmp_path: Path, codec: str, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Packets that cannot be decoded for half a second, encoded anew or copied."""
    wave = beeps(3.0, [0.5, 2.5])
    wave += np.random.default_rng(0).integers(-90, 90, len(wave)).astype(np.int16)
    images = [ramp(k) for k in range(90)]
    clip = write_clip(tmp_path / "in.mkv", images, sounds=[(codec, 0.0, wave)])
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [
            bytes(packet)
            for packet in container.demux(audio=0)
            if packet.size and 1.2 < packet.pts * packet.time_base < 1.7
        ]
    for packet in packets:
        place = data.index(packet)
        data[place : place + len(packet)] = b"\xff" * len(packet)
    clip.write_bytes(data)
    out = tmp_path / f"out{target}"
    assert made_of(clip, out).ending is Ending.FINISHED
    told = "packets of sound could not be decoded and are silent" in caplog.text
    assert told == (target == ".webm")
    with av.open(str(out)) as made:
        kept = [packet for packet in made.demux(audio=0) if packet.size]
        assert float(kept[-1].pts * kept[-1].time_base) > 2.9
    if target == ".webm":
        np.testing.assert_allclose(onsets(*heard(out)), [0.5, 2.5], atol=0.04)


def test_without_sound(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", RAMP, sounds=[("aac", 0.0, tone(1.0))])
    made_of(source, tmp_path / "out.mp4", VideoOptions(sound=False))
    assert facts(tmp_path / "out.mp4")["sound"] == []


def test_a_stopped_stream_has_sound_as_far_as_its_picture(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", RAMP * 2, sounds=[("aac", 0.0, tone(2.0))])
    opened = open_source(source, 25.0, ReconnectOptions(), lambda seconds: False)
    out = tmp_path / "out.mp4"
    stream = Stream(opened, process, StreamOptions(), sink=VideoFileSink(out))
    for result in stream:
        if result.index == 29:
            stream.stop()
    assert stream.ending is Ending.STOPPED
    assert len(seen(out)) == 30
    assert 0.95 < len(heard(out)[1]) / 48_000 < 1.1
