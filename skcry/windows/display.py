"""HTML of windows for notebooks: a table, and the sound and spectrogram of the first window."""

import base64
import html
import io

import numpy as np
import soundfile

SHOWN_DURATION = 30  # seconds of a window, to keep notebooks small
SHOWN_ROWS = 10
N_FFT = 512
RANGE_DB = 80


def windows_html(windows):
    """Return HTML of ``Windows`` of sound or of spectrograms; without matplotlib it has no picture."""
    parts = [f"<p>{html.escape(repr(windows)[1:-1])}</p>"]
    if len(windows):
        table = windows.times.rename(columns={"start": "start (s)", "end": "end (s)"})
        table["recording"] = [windows.names[number] for number in windows.recording]
        table["group"] = windows.groups
        parts += [table.to_html(max_rows=SHOWN_ROWS, float_format="{:g}".format), _first(windows)]
    return "<div>" + "".join(parts) + "</div>"


def _first(windows):
    """Return the player (of sound only) and the picture of the first window as HTML."""
    if windows.ndim > 3:
        return ""
    first, caption = np.asarray(windows[:1])[0], "Window 0"
    parts = []
    if windows.ndim == 2:
        first = first[: SHOWN_DURATION * windows.sr].astype(np.float64)
        parts.append(_player(first, windows.sr))
        caption += f", volume normalised; picture from 0 to {windows.sr / 2000:g} kHz"
        first = decibels(first)
    parts.append(_picture(first))
    return f"<figure><figcaption>{caption}</figcaption>" + "".join(parts) + "</figure>"


def _player(y, sr):
    file = io.BytesIO()
    soundfile.write(file, 0.9 * y / max(np.abs(y).max(), 1e-9), sr, format="WAV", subtype="PCM_16")
    return f'<audio controls src="data:audio/wav;base64,{_encoded(file)}"></audio><br>'


def decibels(y, hop_length=N_FFT // 4):
    """Compute the short-time spectrum of sound in decibels, of shape (1 + N_FFT // 2, n_frames)."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, N_FFT // 2), N_FFT)[::hop_length]
    return 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(N_FFT))).T + 1e-10)


def _picture(values):
    try:
        from matplotlib.image import imsave
    except ImportError:
        return ""
    file = io.BytesIO()
    imsave(file, values, cmap="magma", origin="lower", vmin=values.max() - RANGE_DB, vmax=values.max(), format="png")
    style = "width:100%;max-width:640px;height:160px"
    return f'<img alt="spectrogram" style="{style}" src="data:image/png;base64,{_encoded(file)}">'


def _encoded(file):
    return base64.b64encode(file.getvalue()).decode()
