"""The command that listens to sound while it is recorded."""

import contextlib
import datetime
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .shared import load_detector

CLEAR = "\r\x1b[K"  # removes the line of the meter


def listen(options):
    """Detect crying in sound while it is recorded, and print events."""
    from ..files.live import LiveResults

    *paths, name = options.names
    detector = load_detector(Path(paths[0]) if paths else None, options.trusted)
    source = _open_source(options, name)
    start = time.time() - source.recorded if options.start is None else options.start
    stop = _Stop()
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        for one in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, one, signal.signal(one, stop))
        results = None
        if options.out is not None:
            results = stack.enter_context(LiveResults(detector, options.out, start, overwrite=options.overwrite))
        seconds = detector.listen(stop.until(source), sr=source.sr, channel=options.channel)
        print(f"Listening to {name} at {source.sr} Hz, from {_clock(start, 0)} on. End with Ctrl-C.", file=sys.stderr)
        meter = sys.stderr.isatty()
        for one in seconds:
            if results is not None:
                results.push(one)
            if meter:
                print(f"\r{_meter(one, start)}\x1b[K", end="", file=sys.stderr, flush=True)
            for problem in one.problems:
                print(f"{CLEAR if meter else ''}Warning: {problem}", file=sys.stderr)
            if options.jsonl:
                line = {name: getattr(one, name) for name in ("second", "score", "cry", "usable", "level", "problems")}
                if one.cry is None:  # of several classes
                    line["label"] = str(one.label)
                print(json.dumps({"time": _clock(start, one.second), **line}), flush=True)
            for event in one.events:
                if options.jsonl:
                    print(json.dumps({"event": "ended" if event.final else "began", **asdict(event)}), flush=True)
                else:
                    print(f"{CLEAR if meter else ''}{_event_line(event, start)}", flush=True)
        if meter:
            print(file=sys.stderr)
    if options.out is not None:
        print(f"Written to {options.out}", file=sys.stderr)
    if stop.is_set:
        print("Stopped. What was heard is scored to its end.", file=sys.stderr)


class _Stop:
    """Signal handler that ends a source, so that what it gave is still scored, instead of interrupting anywhere."""

    def __init__(self):
        self.is_set, self._waits = False, False

    def __call__(self, number, frame):
        again, self.is_set = self.is_set, True
        if self._waits or again:
            raise KeyboardInterrupt

    def until(self, blocks):
        """Yield blocks until the signal comes."""
        blocks = iter(blocks)
        while not self.is_set:
            self._waits = True
            try:
                block = next(blocks)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waits = False
            yield block


def _open_source(options, name):
    """Open what to listen to."""
    from ..io import follow_wav, microphone, read_pipe

    raw = {"sr": options.sr, "channels": options.channels}
    given = [f"--{key}" for key, value in {**raw, "dtype": options.dtype}.items() if value is not None]
    raw["channels"] = 1 if options.channels is None else options.channels
    if name == "-":
        return read_pipe(sys.stdin.buffer, dtype=options.dtype or "int16", **raw)
    if name == "microphone":
        if options.dtype is not None:
            raise ValueError("--dtype has no meaning for a microphone. Leave it out.")
        device = int(options.device) if (options.device or "").isdigit() else options.device
        return microphone(device, **raw | {"sr": options.sr or 16000})
    if given:
        raise ValueError(f"{', '.join(given)}: the header of {name} tells this. Leave it out.")
    return follow_wav(name, timeout=options.timeout)


def _clock(start, second):
    return f"{datetime.datetime.fromtimestamp(start + second):%Y-%m-%d %H:%M:%S}"


def _event_line(event, start):
    onset, offset = (_clock(start, time) for time in (event.onset, event.offset))
    if not event.final:
        return f"{onset}  {event.label} began"
    return f"{onset}  {event.label} ended at {offset[11:]}, {event.offset - event.onset:.0f} s, score {event.score:.2f}"


def _meter(second, start):
    """Return a line with level, from -80 to 0 dB, and score."""
    loud, sure = round(max(0, second.level + 80) / 4), round(second.score * 20)
    what = "no sound" if not second.usable else second.label if second.cry is None else "cry" if second.cry else ""
    level, score = f"{second.level:4.0f} dB |{'=' * loud:20}|", f"{second.score:.2f} |{'#' * sure:20}|"
    return f"{_clock(start, second.second)[11:]} {level} {score} {what}"
