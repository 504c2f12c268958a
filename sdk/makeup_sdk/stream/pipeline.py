"""Streams: capture, processing and writing overlap, with bounded queues between them."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.frame import Result
from makeup_sdk.images import to_bgr
from makeup_sdk.stream.channel import Channel, ChannelClosedError
from makeup_sdk.stream.errors import SinkFullError, SourceLostError
from makeup_sdk.stream.look_back import LookBackProcessor
from makeup_sdk.stream.options import StreamOptions
from makeup_sdk.stream.processor import FrameProcessor, Wardrobe
from makeup_sdk.stream.results import Ending, StreamResult
from makeup_sdk.stream.signals import stopped_by_signals
from makeup_sdk.stream.sinks import Sink, make_sink
from makeup_sdk.stream.source import Source, SourceInfo
from makeup_sdk.stream.sources import open_source
from makeup_sdk.stream.statistics import Recorder, StreamStatistics

Process = Callable[[Image, float], Result | None]
Rest = Callable[[], Iterator[Result]]

_log = logging.getLogger("makeup_sdk")

_SMALLEST_STEP = 1e-3
"""Minimum seconds between the timestamps of two frames."""
_LONGEST_CLOSE = 30.0
"""Seconds to wait for a thread that a driver blocks, before abandoning it."""


class Stream:
    """Results of a source, in order; created by `MakeupEngine.stream`.

        with engine.stream(0, sink="window") as stream:
            for result in stream:
                print(result.timestamp, stream.statistics.fps)

    One thread captures and one processes, while the caller's thread takes results and writes to the
    sink. Iteration ends when the source ends or is lost, when the sink is full or its window is
    closed (see `ending` and `message`), and when `close` is called. Errors of engine or source are
    raised in place of the result. However the iteration ends, threads end and files are closed.

    Args:
        source: provides the frames.
        process: turns a frame (in the engine's channel order) and its time into a result, or None
            while it waits for more frames; results are in the order of the frames.
        options: its policy and queue are used.
        sink: receives the results.
        color: channel order of `process`, "bgr" or "rgb".
        stop: set when the stream closes; a waiting source watches it.
        clock: seconds; for statistics.
        rest: called after the source has ended; returns the remaining results.
    """

    def __init__(
        self,
        source: Source,
        process: Process,
        options: StreamOptions,
        *,
        sink: Sink | None = None,
        color: str = "bgr",
        stop: Event | None = None,
        clock: Callable[[], float] = time.perf_counter,
        rest: Rest = lambda: iter(()),
    ) -> None:
        self._source = source
        self._process = process
        self._rest = rest
        self._places: deque[tuple[int, float]] = deque()
        self._sink = sink
        self._color = color
        self._stop = stop or Event()
        self._clock = clock
        latest = (options.policy or ("latest" if source.info.live else "all")) == "latest"
        queue = 1 if latest else options.queue
        self._latest = latest
        self._frames: Channel[tuple[Image, int, float]] = Channel(queue, newest_wins=latest)
        self._results: Channel[StreamResult | BaseException] = Channel(queue)
        self._recorder = Recorder()
        self._failure: BaseException | None = None
        self._threads: list[Thread] = []
        self._sink_is_open = False
        self._closed = False
        self._managed = False
        self.ending = Ending.RUNNING
        self.message = ""

    @property
    def source(self) -> SourceInfo:
        """Facts about the source."""
        return self._source.info

    @property
    def statistics(self) -> StreamStatistics:
        """Current statistics; any thread may read them."""
        return self._recorder.snapshot(self._frames.dropped, self._source.reconnects)

    def __iter__(self) -> Iterator[StreamResult]:
        if self._threads or self._closed:
            raise InvalidInputError("stream: it has been run before; make a new one")
        left = False
        try:
            self._start()
            yield from self._take()
        except GeneratorExit:
            left = self._managed  # left by the app; `__exit__` knows whether it failed
            raise
        except Exception as error:
            self._end(Ending.FAILED, str(error))
            raise
        finally:
            if not left:
                self.close()

    def run(self) -> StreamStatistics:
        """Process everything and write to the sink; returns the statistics.

        Ctrl-C, TERM and HUP end it like `stop`, unless the app handles them itself.
        """
        with stopped_by_signals(self.stop):
            try:
                for _ in self:
                    pass
            except KeyboardInterrupt:  # from the app's own handler
                self._end(Ending.STOPPED)
        return self.statistics

    def stop(self) -> None:
        """Make the stream end soon; any thread may call this."""
        self._end(Ending.STOPPED)
        self._stop.set()
        self._frames.close()
        self._results.close()

    def close(self) -> None:
        """Stop; release source, sink and threads. May be called twice, from the caller's thread.

        Finishes the sink even after an error or `KeyboardInterrupt`.
        """
        if self._closed:
            return
        self._closed = True
        self.stop()
        try:
            for thread in self._threads:
                thread.join(_LONGEST_CLOSE)
        finally:
            try:
                if self._sink is not None and self._sink_is_open:
                    self._sink.close(self.ending)
            except SinkFullError as full:  # no space for the rest
                self.ending, self.message = Ending.SINK_FULL, str(full)
            finally:
                if any(thread.is_alive() for thread in self._threads):
                    _log.warning("%s does not let go; left open", self.source.name)
                else:
                    self._source.close()

    def __enter__(self) -> "Stream":
        self._managed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, Exception):
            self._end(Ending.FAILED, str(error))
        self.close()

    def _start(self) -> None:
        if self._sink is not None:
            self._sink.open(self.source)
            self._sink_is_open = True
        for name, stage in (("capture", self._capture), ("process", self._work)):
            thread = Thread(target=stage, name=f"makeup-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _capture(self) -> None:
        """First thread: source to frames."""
        index, first, last = 0, 0.0, 0.0
        try:
            while not self._stop.is_set():
                before = self._clock()
                read = self._source.read()
                if read is None:
                    break
                frame, at = read
                first = at if index == 0 else first
                last = max(at - first, last + _SMALLEST_STEP) if index else 0.0
                self._recorder.capture((self._clock() - before) * 1e3)
                self._frames.put((frame, index, last))
                index += 1
        except ChannelClosedError:
            return
        except BaseException as error:
            self._failure = error
        self._frames.end()

    def _work(self) -> None:
        """Second thread: frames to results."""
        try:
            while True:
                if self._latest:  # take the newest frame, but only when its result is needed
                    self._results.wait_for_room()
                frame, index, at = self._frames.get()
                before = self._clock()
                if not self.source.native_color:
                    frame = to_bgr(frame, self._color)  # which is its own inverse
                self._places.append((index, at))
                made = self._process(frame, at)
                spent = (self._clock() - before) * 1e3
                self._recorder.stages({"process": spent})
                if made is not None:
                    self._give(made)
        except ChannelClosedError:
            self._hand_over(self._failure)
        except BaseException as error:
            self._hand_over(error)

    def _give(self, made: Result) -> None:
        self._recorder.stages(made.timings)
        index, at = self._places.popleft()
        self._results.put(
            StreamResult(made.image, made.faces, made.timings, index, at, color=made.color)
        )

    def _hand_over(self, error: BaseException | None) -> None:
        """Last step of the second thread: pass on waiting results, and the error that ended it."""
        with suppress(ChannelClosedError):
            try:
                if not self._stop.is_set():
                    for made in self._rest():
                        self._give(made)
            except ChannelClosedError:
                raise
            except BaseException as failure:
                error = error or failure
            if error is not None:
                self._results.put(error)
        self._results.end()

    def _take(self) -> Iterator[StreamResult]:
        """The caller's thread: results to the sink and the caller."""
        while True:
            try:
                result = self._results.get()
                if isinstance(result, BaseException):
                    raise result
                go_on = self._write(result)
            except ChannelClosedError:
                return self._end_of_source()
            except SourceLostError as lost:
                return self._end(Ending.SOURCE_LOST, str(lost))
            except SinkFullError as full:
                return self._end(Ending.SINK_FULL, str(full))
            self._recorder.deliver(self._clock())
            yield result
            if not go_on:
                return self._end(Ending.STOPPED)

    def _write(self, result: StreamResult) -> bool:
        if self._sink is None:
            return True
        before = self._clock()
        go_on = self._sink.write(to_bgr(result.image, self._color), result)
        self._recorder.stages({"write": (self._clock() - before) * 1e3})
        return go_on

    def _end_of_source(self) -> None:
        lost, read = self._source.lost, self.statistics.captured
        if not lost:
            return self._end(Ending.FINISHED)
        plural = "frame" if lost == 1 else "frames"
        return self._end(
            Ending.INCOMPLETE,
            f"{self.source.name}: {lost} {plural} could not be read; the other {read} were",
        )

    def _end(self, ending: Ending, message: str = "") -> None:
        """Note why the stream ended; the first reason counts."""
        if self.ending is Ending.RUNNING:
            self.ending, self.message = ending, message or ending.value


def open_stream(
    engine: Wardrobe, source: Any, sink: Any = None, options: StreamOptions | None = None
) -> Stream:
    """See `MakeupEngine.stream`."""
    options = StreamOptions() if options is None else options
    if not isinstance(options, StreamOptions):
        raise InvalidInputError(f"options: got {type(options).__name__}, expected StreamOptions")
    stop = Event()
    made = None if sink is None else make_sink(sink)
    opened = open_source(source, options.fps, options.reconnect, stop.wait)
    if options.look_back and not opened.info.live and not opened.info.native_color:
        late = LookBackProcessor(engine, options)
        process: Process = late.process
        rest: Rest = late.rest
    else:
        process, rest = FrameProcessor(engine, options).process, lambda: iter(())
    return Stream(opened, process, options, sink=made, color=engine.color, stop=stop, rest=rest)
