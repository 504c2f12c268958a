"""A camera or video with makeup, changing from look to look.

python webcam.py red.jpg teal.look                          camera 0 in a window
python webcam.py red.jpg --source clip.mp4 --sink out.mp4   a video file
python webcam.py red.jpg --sink camera                      a virtual camera for video calls
"""

import argparse
from collections.abc import Sequence

from makeup_sdk import Look, MakeupEngine, StreamStatistics


def load(path: str) -> Look:
    return Look.load(path) if path.endswith(".look") else Look.from_photo(path)


def main(arguments: Sequence[str] | None = None) -> StreamStatistics:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("looks", nargs="+", help="reference photos or .look files")
    parser.add_argument("--source", default="0", help="camera number, video file, folder or URL")
    parser.add_argument("--sink", default="window", help="window, camera, a video file or a folder")
    parser.add_argument("--every", type=float, default=4.0, help="seconds that a look is worn")
    options = parser.parse_args(arguments)

    looks = [load(path) for path in options.looks]  # once, not per frame
    engine = MakeupEngine(look=looks[0])
    source = int(options.source) if options.source.isdecimal() else options.source
    with engine.stream(source, options.sink) as stream:
        for result in stream:  # the sink has this frame already; what changes here is for the next
            engine.look = looks[int(result.timestamp / options.every) % len(looks)]
    print(f"{stream.ending.name.lower()}: {stream.message}")
    return stream.statistics


if __name__ == "__main__":
    try:
        statistics = main()
    except KeyboardInterrupt:
        pass
    else:
        print(f"{statistics.frames} frames, {statistics.fps:.1f} fps, {statistics.dropped} dropped")
