"""`makeup stream`: put a look on a video or camera."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from makeup_kernels import InvalidInputError
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_sdk.cli.options import (
    BackendOption,
    LookOption,
    ModelOption,
    RegionOption,
    StrengthOption,
    ThreadsOption,
    ToneOption,
    parse_look,
    parse_strength,
)
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.looks.look import Look
from makeup_sdk.models.registry import DEFAULT_MODEL
from makeup_sdk.stream import (
    Ending,
    SmoothingOptions,
    Stream,
    StreamOptions,
    StreamStatistics,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream.containers import VIDEO_SUFFIXES
from makeup_sdk.stream.signals import stopped_by_signals

_UPDATE_EVERY = 10
"""Frames between updates of the shown statistics."""


def stream(
    source: Annotated[
        str, typer.Option(help="Camera number, video file, folder of images, or URL.")
    ],
    look: LookOption,
    sink: Annotated[
        str,
        typer.Option(
            help="Video file, folder for images, window, or virtual camera (camera, camera:DEVICE)."
        ),
    ] = "window",
    region: RegionOption = None,
    strength: StrengthOption = 1.0,
    tone: ToneOption = 0.0,
    wear: Annotated[
        list[str] | None,
        typer.Option(help="Another look for one face id, e.g. 1=blue.look. May be repeated."),
    ] = None,
    max_faces: Annotated[
        int | None, typer.Option(help="Track at most this many faces; default 8.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="all (drops no frame) or latest (no delay); default: by the source."),
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second of a folder of images.")] = 30.0,
    smoothing: Annotated[
        bool, typer.Option(help="Temporal smoothing of landmarks and makeup.")
    ] = True,
    codec: Annotated[
        str | None,
        typer.Option(help="Video encoder, e.g. libx265; default H.264, for .webm VP9."),
    ] = None,
    quality: Annotated[
        float | None, typer.Option(help="Constant rate factor of the encoder; lower is better.")
    ] = None,
    pixel_format: Annotated[
        str | None, typer.Option(help="Pixel format of the video, e.g. yuv444p; default yuv420p.")
    ] = None,
    sound: Annotated[bool, typer.Option(help="Keep the sound of the source.")] = True,
    model: ModelOption = DEFAULT_MODEL,
    backend: BackendOption = "auto",
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the makeup of a reference photo on a video or camera.

    Ends with the source, on Ctrl-C, or on q in the window; the output up to then is kept. The exit
    status is 1 if the source is lost or incomplete, or the disk is full.

    makeup stream --source clip.mp4 --look red.look --sink made-up.mp4

    makeup stream --source 0 --look soft-glam --sink window
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    engine = MakeupEngine(
        parse_look(look),
        model=model,
        backend=backend,
        strength=parse_strength(strength, region or ()),
        tone=tone,
        max_faces=max_faces,
        threads=threads,
    )
    for entry in wear or ():
        engine.wear(*_parse_wear(entry))
    options = StreamOptions(
        policy=policy, fps=fps, smoothing=SmoothingOptions() if smoothing else None
    )
    is_camera = source.isdecimal() and not Path(source).exists()
    given: str | int = int(source) if is_camera else source
    video = VideoOptions(codec, quality, pixel_format, sound=sound)
    target = _video_sink(sink, video)
    running = engine.stream(given, target, options=options)
    with stopped_by_signals(running.stop), running:
        _show(running, reporter)
    statistics = running.statistics
    ending = f"{running.ending.name.lower()}: {running.message}"
    failed = running.ending in (Ending.INCOMPLETE, Ending.SOURCE_LOST, Ending.SINK_FULL)
    reporter.say(f"{sink}: {_line(statistics)}")
    (reporter.failure if failed else reporter.say)(ending)
    facts = {"sink": sink, "ending": running.ending.name.lower(), "message": running.message}
    reporter.json(facts | asdict(statistics))
    if failed:
        raise typer.Exit(1)


def _video_sink(sink: str, options: VideoOptions) -> str | VideoFileSink:
    """A video-file sink with the given options, or the sink's name unchanged.

    Raises:
        InvalidInputError: options are given, and the sink is not a video file.
    """
    if Path(sink).suffix.lower() in VIDEO_SUFFIXES and not Path(sink).is_dir():
        return VideoFileSink(sink, options)
    if options != VideoOptions():
        raise InvalidInputError(
            f"{sink}: --codec, --quality, --pixel-format and --no-sound are for video files; "
            f"expected a name that ends in one of {', '.join(VIDEO_SUFFIXES)}"
        )
    return sink


def _show(running: Stream, reporter: Reporter) -> None:
    """Run a stream with a progress bar, or with a line of statistics if its length is unknown."""
    total = running.source.frames
    if total is None:
        with Live(console=reporter.progress, transient=True, refresh_per_second=4) as live:
            for count, _ in enumerate(running):
                if count % _UPDATE_EVERY == 0:
                    live.update(Text(_line(running.statistics)))
        return
    with _bar(reporter) as bar:
        task = bar.add_task("Streaming", total=total, fps=0.0)
        for count, _ in enumerate(running, 1):
            bar.update(task, completed=count)
            if count % _UPDATE_EVERY == 0:
                bar.update(task, fps=running.statistics.fps)


def _bar(reporter: Reporter) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
        console=reporter.progress,
    )


def _line(statistics: StreamStatistics) -> str:
    """For example "412 frames, 24.9 fps, process 18.2/25.0 ms (p50/p95), 3 dropped"."""
    parts = [f"{statistics.frames} frames", f"{statistics.fps:.1f} fps"]
    parts += [
        f"{name} {time.p50:.1f}/{time.p95:.1f}"
        for name, time in statistics.stages.items()
        if name in ("capture", "process", "write")
    ]
    line = ", ".join(parts) + " ms (p50/p95)" * bool(statistics.stages)
    line += f", {statistics.dropped} dropped"
    return line + (f", {statistics.reconnects} reconnects" if statistics.reconnects else "")


def _parse_wear(entry: str) -> tuple[int, Look | str]:
    """Split `1=blue.look` into face id and look, in the form of `--look`.

    Raises:
        InvalidInputError: not a number, = and a look.
    """
    number, separator, look = entry.partition("=")
    if not separator or not number.isdecimal() or not look:
        raise InvalidInputError(f"--wear {entry}: expected ID=LOOK, for example 1=blue.look")
    return int(number), parse_look(look)
