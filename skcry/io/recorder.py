"""Record sound from a microphone, by PortAudio."""

from __future__ import annotations

import queue
from numbers import Integral
from typing import Any

from .._compat import Interval, validate_params
from .audio import DEFAULT_SR, PLAUSIBLE_SR
from .live import Gap, SoundBlocks

QUEUE_DURATION = 60.0  # s of sound of a microphone that wait for a slow consumer
SILENT_DURATION = 10.0  # s without any block after which a microphone is lost
BLOCK_DURATION = 0.1  # s of a block of a microphone
LONGEST_OVERFLOW = 3600.0  # s; above, the clock of a sound card is not believed


@validate_params(
    {
        "device": [str, Integral, None],
        "sr": [Interval(Integral, *PLAUSIBLE_SR, closed="both")],
        "channels": [Interval(Integral, 1, 64, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def microphone(device: str | int | None = None, *, sr: int = DEFAULT_SR, channels: int = 1) -> SoundBlocks:
    """Record from a microphone, by PortAudio. Needs the extra ``live``.

    Parameters
    ----------
    device : str, int or None, default=None
        Name, part of a name, or number of an input, as ``python -m sounddevice`` lists them. None means the default.
    sr : int, default=16000
        Sampling rate in Hz. Devices that do not offer it raise an error: try 44100 or 48000, which are resampled.
    channels : int, default=1
        Number of channels to record.

    Returns
    -------
    SoundBlocks
        Iterable of blocks (n_timepoints, n_channels), for :meth:`skcry.CryDetector.listen`. It does not end by itself;
        call its ``close``. A minute of sound may wait for a slow consumer. What is lost beyond that, or by the system,
        becomes a :class:`Gap`.

    Raises
    ------
    ImportError
        If sounddevice or PortAudio is missing.
    OSError
        If the device cannot be opened or, while recording, gives no sound for 10 s.

    Examples
    --------
    >>> import skcry
    >>> from skcry.io import microphone
    >>> for second in skcry.load_pretrained().listen(microphone()):  # doctest: +SKIP
    ...     print(second.second, second.score, second.cry)
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError without PortAudio
        raise ImportError(
            f"To record, install sounddevice: pip install 'skcry[live]', and PortAudio, on Debian and Ubuntu by apt "
            f"install libportaudio2 ({error}). Or let another program record: arecord -f S16_LE -r 16000 -t raw | "
            "skcry listen - --sr 16000"
        ) from None
    recorder = _Recorder(sr)
    try:
        stream = sounddevice.InputStream(
            samplerate=sr,
            blocksize=round(BLOCK_DURATION * sr),
            device=device,
            channels=channels,
            dtype="int16",
            callback=recorder.record,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(
            f"The microphone (device={device}, sr={sr} Hz, channels={channels}) cannot be opened: {error}. Run python "
            "-m sounddevice to list devices; try sr=44100 or 48000."
        ) from None
    return SoundBlocks(recorder.blocks(stream), sr)


class _Recorder:
    """Queue between the thread of a sound card and the consumer; what is lost before or in it becomes a gap."""

    def __init__(self, sr):
        self._sr = sr
        self._queue: queue.Queue[Any] = queue.Queue(round(QUEUE_DURATION / BLOCK_DURATION))
        self._n_heard, self._began = 0, None
        self._lost, self._reason = 0.0, None  # since the last block in the queue

    def record(self, y, n_timepoints, times, status):
        """Take a block: the callback of sounddevice."""
        now = times.inputBufferAdcTime  # by the clock of the sound card, which nobody sets
        if self._began is None:
            self._began = now
        if status.input_overflow:
            lost = now - self._began - self._n_heard / self._sr
            lost = lost if 0 < lost < LONGEST_OVERFLOW else 0.0  # some drivers do not tell the time
            self._lost, self._reason = self._lost + lost, "the system was too slow to record"
            self._n_heard += round(lost * self._sr)
        self._n_heard += n_timepoints
        if self._queue.qsize() > self._queue.maxsize - 2:
            self._lost += n_timepoints / self._sr
            self._reason = "the program was too slow to listen, and its queue was full"
            return
        if self._reason is not None:
            self._queue.put_nowait(Gap(self._lost, self._reason))
            self._lost, self._reason = 0.0, None
        self._queue.put_nowait(y.copy())

    def blocks(self, stream):
        """Yield what is recorded, until the generator is closed."""
        with stream:
            while True:
                try:
                    yield self._queue.get(timeout=SILENT_DURATION)
                except queue.Empty:
                    raise OSError(
                        f"The microphone gave no sound for {SILENT_DURATION:g} s. Was it unplugged? Start again."
                    ) from None
