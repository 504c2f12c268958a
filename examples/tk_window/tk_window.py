"""A desktop window: the live picture, a list of looks, a strength slider.

python tk_window.py red.jpg teal.jpg                      camera 0
python tk_window.py red.jpg teal.jpg --source clip.mp4    a video file
"""

import argparse
import tkinter as tk
from collections import deque
from collections.abc import Sequence
from threading import Thread

import cv2
import numpy as np

from makeup_sdk import Look, MakeupEngine, StreamResult

REFRESH_MS = 15


class Mirror:
    """The part without a window: a stream in a thread, of which the newest picture is kept."""

    def __init__(self, source: int | str, looks: Sequence[Look]) -> None:
        self.looks = looks
        self.engine = MakeupEngine(look=looks[0])
        self._newest: deque[StreamResult] = deque(maxlen=1)
        self.stream = self.engine.stream(source, self._newest.append)
        self._thread = Thread(target=self.stream.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.stream.stop()
        self._thread.join()

    def wear(self, number: int) -> None:
        """Change to a look; the stream cross-fades."""
        self.engine.look = self.looks[number]

    def take(self) -> StreamResult | None:
        """The newest picture, once; None if there is no new one."""
        return self._newest.popleft() if self._newest else None


class Window:
    """Shows a mirror; Tk's own thread takes a picture whenever there is a new one."""

    def __init__(self, root: tk.Tk, mirror: Mirror) -> None:
        self._root, self._mirror = root, mirror
        self._photo: tk.PhotoImage | None = None
        root.title("Makeup")
        self._picture = tk.Label(root)
        self._picture.pack()
        self._looks = tk.Listbox(root, height=len(mirror.looks), exportselection=False)
        self._looks.insert(tk.END, *(look.title for look in mirror.looks))
        self._looks.selection_set(0)
        self._looks.bind("<<ListboxSelect>>", self._choose)
        self._looks.pack(fill=tk.X)
        strength = tk.Scale(root, from_=0, to=100, orient=tk.HORIZONTAL, label="strength, %")
        strength.set(100)
        strength.configure(command=self._set_strength)
        strength.pack(fill=tk.X)
        root.protocol("WM_DELETE_WINDOW", self.close)
        self.refresh()

    def refresh(self) -> None:
        """Show the newest picture, then look again soon."""
        result = self._mirror.take()
        if result is not None:
            self._photo = tk.PhotoImage(data=portable_pixmap(result.image))
            self._picture.configure(image=self._photo)
        self._root.after(REFRESH_MS, self.refresh)

    def close(self) -> None:
        self._mirror.close()
        self._root.destroy()

    def _choose(self, _: object) -> None:
        for number in self._looks.curselection():
            self._mirror.wear(number)

    def _set_strength(self, percent: str) -> None:
        self._mirror.engine.strength = float(percent) / 100


def portable_pixmap(image: np.ndarray) -> bytes:
    """A BGR image as a PPM file, which Tk reads without further libraries."""
    done, data = cv2.imencode(".ppm", image)
    assert done
    return data.tobytes()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("references", nargs="+", help="photos of made-up faces")
    parser.add_argument("--source", default="0", help="camera number, video file or URL")
    options = parser.parse_args(arguments)
    source = int(options.source) if options.source.isdecimal() else options.source
    mirror = Mirror(source, [Look.from_photo(path) for path in options.references])
    root = tk.Tk()
    Window(root, mirror)
    mirror.start()
    root.mainloop()


if __name__ == "__main__":
    main()
