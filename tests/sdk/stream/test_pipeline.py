import os
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import ListSink, ListSource, TickedSource, frame, number_of, process
from numpy.typing import NDArray

from makeup_sdk import InvalidInputError, Result
from makeup_sdk.stream import (
    CallbackSink,
    Ending,
    SinkFullError,
    SourceLostError,
    Stream,
    StreamOptions,
    StreamResult,
)

Image = NDArray[np.uint8]
SECONDS = [number / 10 for number in range(300)]


def test_all_loses_nothing_and_keeps_order() -> None:
    source, sink = ListSource(SECONDS), ListSink()
    results = list(Stream(source, process, StreamOptions(), sink=sink))
    assert [number_of(result.image) for result in results] == list(range(300))
    assert [result.index for result in results] == list(range(300))
    assert sink.numbers == list(range(300))
    assert sink.opened == ["list", "closed"]
    assert source.closed


def test_queues_are_bounded() -> None:
    """The source is never read further ahead than the queues and the two threads can hold."""
    source = ListSource(SECONDS)
    ahead = []
    for taken, _ in enumerate(Stream(source, process, StreamOptions(queue=3)), 1):
        ahead.append(source.given - taken)
    assert max(ahead) <= 3 + 3 + 2


def test_stages_overlap() -> None:
    """While a result is with the caller, the next are captured and processed."""
    source = ListSource(SECONDS)
    stream = Stream(source, process, StreamOptions(queue=2))
    results = iter(stream)
    next(results)
    while source.given < 6:  # 1 taken, 2 + 2 queued, 1 in hand: comes without another next()
        pass
    results.close()
    assert source.closed


def test_latest_takes_the_newest_and_counts_drops() -> None:
    """An engine ten times slower than the camera; delays in frames of the engine."""
    source = TickedSource(200)
    behind_at_start: list[int] = []

    def slow(image: Image, time: float) -> Result:
        behind_at_start.append(source.given - 1 - number_of(image))
        for _ in range(10):
            source.tick()
        return Result(image, (), {})

    stream = Stream(source, slow, StreamOptions(policy="latest"))
    source.first()
    delays = []
    numbers = []
    for result in stream:
        delays.append((source.given - 1 - result.index) / 10)
        numbers.append(result.index)
    statistics = stream.statistics
    assert max(behind_at_start) <= 1
    assert max(delays) <= 2
    assert numbers == sorted(set(numbers))
    assert statistics.captured == 200
    assert statistics.frames == len(numbers) == 21
    assert statistics.dropped == 200 - len(numbers)


def test_latest_does_not_work_ahead_of_a_slow_caller() -> None:
    """Nothing is processed for a caller who has not taken the last result: it would be old."""
    source = TickedSource(100)
    stream = Stream(source, process, StreamOptions(policy="latest"))
    source.first()
    delays = []
    for result in stream:
        delays.append((source.given - 1 - result.index) / 10)
        for _ in range(10):
            source.tick()
    assert max(delays) <= 2
    assert stream.statistics.dropped == 100 - stream.statistics.frames


@pytest.mark.parametrize(("live", "dropping"), [(True, True), (False, False)])
def test_policy_follows_the_source(live: bool, dropping: bool) -> None:
    source = ListSource(SECONDS, live=live)

    def late(image: Image, time: float) -> Result:
        while dropping and source.given < 300:
            pass
        return Result(image, (), {})

    stream = Stream(source, late, StreamOptions())
    frames = len(list(stream))
    assert (stream.statistics.dropped > 0) is dropping
    assert frames + stream.statistics.dropped == 300


def test_timestamps_increase() -> None:
    source = ListSource([5.0, 5.1, 5.1, 4.0, 5.3])
    times = [result.timestamp for result in Stream(source, process, StreamOptions())]
    np.testing.assert_allclose(times, [0.0, 0.1, 0.101, 0.102, 0.3], atol=1e-9)


@pytest.mark.parametrize("leave", ["break", "error", "close", "stop"])
def test_leaving_early_gives_everything_back(leave: str) -> None:
    source, sink = ListSource(SECONDS), ListSink()
    stream = Stream(source, process, StreamOptions(), sink=sink)

    def consume() -> None:
        for result in stream:
            if result.index == 5:
                if leave == "break":
                    break
                if leave == "error":
                    raise RuntimeError("of the app")
                getattr(stream, leave)()

    if leave == "error":
        with pytest.raises(RuntimeError, match="of the app"):
            consume()
    else:
        consume()
    assert stream.ending is Ending.STOPPED
    assert source.closed
    assert sink.opened == ["list", "closed"]
    assert sink.numbers == list(range(6))


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_no_descriptor_is_left() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        Stream(ListSource(SECONDS), process, StreamOptions()).run()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_of_the_engine_comes_in_its_place() -> None:
    def fails(image: Image, time: float) -> Result:
        if number_of(image) == 3:
            raise InvalidInputError("frame 3 is bad")
        return process(image, time)

    source = ListSource(SECONDS)
    seen: list[int] = []
    sink = CallbackSink(lambda result: seen.append(result.index))
    with pytest.raises(InvalidInputError, match="frame 3 is bad"):
        Stream(source, fails, StreamOptions(), sink=sink).run()
    assert seen == [0, 1, 2]
    assert source.closed


def test_an_error_of_the_source_comes_in_its_place() -> None:
    source = ListSource(SECONDS[:4], error=InvalidInputError("frame 4 is grey"))
    seen: list[int] = []
    sink = CallbackSink(lambda result: seen.append(result.index))
    with pytest.raises(InvalidInputError, match="frame 4 is grey"):
        Stream(source, process, StreamOptions(), sink=sink).run()
    assert seen == [0, 1, 2, 3]


def test_a_lost_source_ends_cleanly() -> None:
    source, sink = ListSource(SECONDS[:4], error=SourceLostError("camera 0: gone")), ListSink()
    stream = Stream(source, process, StreamOptions(), sink=sink)
    stream.run()
    assert sink.numbers == [0, 1, 2, 3]
    assert (stream.ending, stream.message) == (Ending.SOURCE_LOST, "camera 0: gone")
    assert sink.opened == ["list", "closed"]


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (SinkFullError("the disk is full"), Ending.SINK_FULL),
        (KeyboardInterrupt(), Ending.STOPPED),  # from a handler of the app's own
        (None, Ending.STOPPED),
    ],
)
def test_a_sink_ends_the_stream_cleanly(error: BaseException | None, ending: Ending) -> None:
    source, sink = ListSource(SECONDS), ListSink(3, error)
    stream = Stream(source, process, StreamOptions(), sink=sink)
    statistics = stream.run()
    assert stream.ending is ending
    assert sink.numbers == [0, 1, 2]
    assert sink.opened == ["list", "closed"]
    assert source.closed
    assert statistics.frames == (4 if error is None else 3)


def test_a_stream_runs_once() -> None:
    stream = Stream(ListSource(SECONDS[:2]), process, StreamOptions())
    stream.run()
    assert stream.ending is Ending.FINISHED
    with pytest.raises(InvalidInputError, match="make a new one"):
        stream.run()


def test_context_manager_closes_a_stream_that_was_never_run() -> None:
    source = ListSource(SECONDS)
    with Stream(source, process, StreamOptions()):
        pass
    assert source.closed


def test_rgb_engines_get_and_give_rgb() -> None:
    seen: list[int] = []

    def rgb(image: Image, time: float) -> Result:
        seen.append(int(image[0, 0, 0]))  # frame() has 7 in its last channel
        return process(image, time)

    sink = ListSink()
    results: list[StreamResult] = list(
        Stream(ListSource(SECONDS[:3]), rgb, StreamOptions(), sink=sink, color="rgb")
    )
    assert seen == [7, 7, 7]
    assert [int(result.image[0, 0, 0]) for result in results] == [7, 7, 7]
    assert sink.numbers == [0, 1, 2]
    np.testing.assert_array_equal(results[1].image, frame(1)[..., ::-1])


def test_percentiles_per_stage() -> None:
    stream = Stream(ListSource(SECONDS[:50]), timed(float), StreamOptions(), clock=lambda: 0.0)
    statistics = stream.run()
    assert (statistics.frames, statistics.captured, statistics.dropped) == (50, 50, 0)
    assert statistics.stages["detect"].p50 == pytest.approx(np.percentile(range(50), 50))
    assert statistics.stages["detect"].p95 == pytest.approx(np.percentile(range(50), 95))
    assert statistics.stages["capture"].p95 == 0
    assert statistics.fps == 0


def test_frames_per_second() -> None:
    now = [0.0]
    stream = Stream(ListSource(SECONDS), process, StreamOptions(), clock=lambda: now[0])
    for _ in stream:
        now[0] += 0.02
    assert stream.statistics.fps == pytest.approx(50)


def timed(milliseconds: Callable[[int], float]) -> Callable[[Image, float], Result]:
    def made(image: Image, time: float) -> Result:
        return Result(image, (), {"detect": milliseconds(number_of(image))})

    return made


class Late:
    """An engine that gives each result two frames late."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.waiting: list[Image] = []
        self.error = error

    def process(self, image: Image, time: float) -> Result | None:
        self.waiting.append(image)
        return process(self.waiting.pop(0), time) if len(self.waiting) > 2 else None

    def rest(self) -> Iterator[Result]:
        while self.waiting:
            yield process(self.waiting.pop(0), 0.0)
            if self.error is not None:
                raise self.error


def test_results_that_come_late_keep_their_places() -> None:
    late, sink = Late(), ListSink()
    stream = Stream(
        ListSource(SECONDS[:6]), late.process, StreamOptions(), sink=sink, rest=late.rest
    )
    places = [(number_of(result.image), result.index, result.timestamp) for result in stream]
    assert places == [(k, k, pytest.approx(SECONDS[k])) for k in range(6)]
    assert sink.numbers == list(range(6))
    assert stream.ending is Ending.FINISHED


def test_an_error_among_late_results_is_raised() -> None:
    late = Late(ValueError("broken"))
    stream = Stream(ListSource(SECONDS[:6]), late.process, StreamOptions(), rest=late.rest)
    with pytest.raises(ValueError, match="broken"):
        stream.run()
    assert stream.ending is Ending.FAILED


def test_an_error_of_the_source_comes_after_late_results() -> None:
    late, sink = Late(), ListSink()
    source = ListSource(SECONDS[:4], error=SourceLostError("gone"))
    stream = Stream(source, late.process, StreamOptions(), sink=sink, rest=late.rest)
    stream.run()
    assert stream.ending is Ending.SOURCE_LOST
    assert sink.numbers == [0, 1, 2, 3]
