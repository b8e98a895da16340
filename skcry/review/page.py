"""Write clips to one file in which a person listens to them, and judges them, in a browser."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from .._compat import Interval, validate_params
from .._typing import PathLike
from .._warnings import warn
from ..io.audio import DEFAULT_SR
from ..io.text_files import atomic_path
from ..signal.lowpass import lowpass as remove_above
from .clips import COLUMNS as CLIP_COLUMNS
from .judgements import COLUMNS
from .sounds import Sources, find_recordings, read_spans
from .speech import speech_score

TOP = 8000.0  # Hz, of spectrograms
# Every browser plays MP3. At a variable bit rate it keeps the band up to 7 kHz and the length (at a constant 24 kbit/s,
# 6 kHz, and 70 ms are added): 23 kB for 9 s of a home, 30 kB for 9 s of white noise.
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": 0.5, "bitrate_mode": "VARIABLE"}
CONTEXT = 2.0


@validate_params(
    {
        "clips": [pd.DataFrame],
        "path": [str, os.PathLike],
        "context": [Interval(Real, 0, 60, closed="both"), None],
        "channel": [Interval(Integral, 0, None, closed="left"), None],
        "lowpass": [Interval(Real, 100, DEFAULT_SR / 2, closed="left"), None],
        "max_speech": [Interval(Real, 0, 1, closed="left"), None],
        "show_score": ["boolean"],
        "title": [str, None],
        "overwrite": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def write_review(
    clips: pd.DataFrame,
    path: PathLike = "review.html",
    *,
    recordings: Sources,
    context: float | None = None,
    channel: int | None = None,
    lowpass: float | None = None,
    max_speech: float | None = None,
    show_score: bool = False,
    title: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write clips to a page in which a person judges them: cry, not, or unsure.

    The page is one file. It holds the sound of the clips and all else that it needs, and a browser opens it without
    server or network. Keys judge, replay, go back and undo. Judgements are kept in the browser, for each listener by
    name, until they are saved as a CSV file, which :func:`read_review` reads. Clips come in a random order, the same
    for every listener, so that those judged first are a sample of all.

    Parameters
    ----------
    clips : DataFrame of shape (n_clips, n_columns)
        Output of :func:`select_clips`, or a table with columns ``recording``, ``onset`` and ``offset`` in seconds. The
        page asks for crying, or for the class that ``attrs["label"]`` names; "cry" in the file of judgements then
        means that class.
    path : str or path-like, default="review.html"
        File to write.
    recordings : str, path-like, list or mapping
        The recordings that the clips are of: their folder, a list of files or arrays (at 16 kHz), or a mapping from
        name to recording.
    context : float or None, default=None
        Seconds of sound to play before and after each clip. None means what ``select_clips`` was told, else 2.
    channel : int or None, default=None
        Channel of audio files, counted from 0. None mixes all of them down.
    lowpass : float or None, default=None
        Frequency in Hz, from 100 on, above which the sound is removed, so that speech is harder to understand: see
        Notes. The spectrogram is drawn from what is left.
    max_speech : float or None, default=None
        Largest score of adult speech, from 0 to 1, in what is played of a clip. Clips above it are not in the page, and
        the file that it saves says "unsure" of them. 0.5 is a start; see Notes on what it costs, and what it misses.
    show_score : bool, default=False
        Whether the page shows the score before a clip is judged. It then influences the listener, and estimates from
        the judgements are too good.
    title : str or None, default=None
        Title of the page. None means "Review" and the number of clips.
    overwrite : bool, default=False
        Whether an existing file is replaced. Judgements stay in the browser, and return if the clips are the same.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If a recording cannot be read, or this libsndfile writes no MP3.
    ValueError
        If columns are missing, a clip is there twice, a recording is missing or ends before its clip, or all clips
        score above ``max_speech``.

    Warns
    -----
    UserWarning
        If clips are left out because of ``max_speech``: how many.

    See Also
    --------
    select_clips : Chooses the clips.
    read_review : Reads what the page saved.

    Notes
    -----
    The page holds excerpts of the recordings, with what people said in them, and the names of the files: share and
    delete it as you would the recordings. The browser of each computer keeps judgements and names of listeners, but no
    sound. The page has a policy that forbids it any use of the network.

    ``lowpass`` is no anonymisation. Below some 400 Hz, most words of adults cannot be understood, which psychology uses
    as "content-filtered speech" (Rogers et al., 1971); at 600 Hz some can be, and at 1000 Hz many. Who speaks, to whom
    and in which mood can be heard at any of these. Crying is harder to judge as well: its pitch is above 400 Hz, so
    that below 600 Hz only the lowest harmonic is left of it. Try it on some clips that you know.

    ``max_speech`` misses some speech, and leaves out other sounds. The score is that of a linear classifier on
    :class:`skcry.PretrainedEmbedding`, the highest of all windows of 3 s that are played. On mixtures of free sound, of
    speakers and sources that the classifier had not heard, it left out:

    ==========  ==============  ============================  ================================  ======================
    max_speech  without speech  without speech, with crying   speech at 0 dB or more (by fold)  speech from -5 to 0 dB
    ==========  ==============  ============================  ================================  ======================
    0.73        5 %             4 %                           87 % (83 to 90 %)                 60 %
    0.62        10 %            8 %                           91 % (87 to 92 %)                 69 %
    0.48        20 %            19 %                          94 % (92 to 95 %)                 78 %
    ==========  ==============  ============================  ================================  ======================

    Levels are relative to what else sounds meanwhile. The voices are four speakers of prompts and three readers, none
    of whom speaks to an infant, and the network itself had heard all but one of them. Of three voices of telephone
    prompts that neither had heard, 90 % was left out instead of 94 %, 83 % instead of 91 %, and 76 % instead of 87 %.
    Speech of less than a second is missed more often; whispers, called names and talk at home were not tried. Laughter
    is often taken for speech (48 % of other clips of it at 0.48). How much is left out depends on the home: of the
    shared soundscapes, 0.48 left out 62 % of the clips with crying, and 44 % of those without; parents may speak in
    some of them. So the clips that remain are no random sample, and estimates from them may be too low. The columns
    ``unsure_not`` and ``unsure_cry`` of :func:`estimate_crying` bound what the others could change. ``--step speech``
    of ``benchmarks.pretraining`` makes the classifier, and these numbers except those of the three voices.

    Sound is stored as MP3, mono, 16 kHz, about 20 kbit/s, which every browser plays: 500 clips of 5 s with 2 s of
    context before and after make a page of 15 MB, and 20 MB if they are white noise.

    References
    ----------
    Rogers, P. L., Scherer, K. R., & Rosenthal, R. (1971). Content filtering human speech: A simple electronic system.
    Behavior Research Methods & Instrumentation, 3(1), 16-18.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcry.review import write_review
    >>> clips = pd.DataFrame({"recording": [0], "onset": [10], "offset": [15]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_review(clips, Path(folder, "review.html"), recordings=[np.zeros(16000 * 60)])
    ...     page.read_text().startswith("<!DOCTYPE html>")
    True
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Give another name, or pass overwrite=True.")
    if "MP3" not in soundfile.available_formats():
        raise OSError(
            f"libsndfile {soundfile.__libsndfile_version__} writes no MP3, which review pages hold. Run pip install "
            "--force-reinstall soundfile, whose wheels bring one that does."
        )
    context = clips.attrs.get("context", CONTEXT) if context is None else context
    words = _words(clips.attrs.get("label", "cry"))
    clips = _check_clips(clips)
    found = find_recordings(recordings, clips["recording"].unique().tolist(), "clips")
    digest = _checksum(clips.to_csv(index=False))
    order = list(range(len(clips)))
    random.Random(digest).shuffle(order)
    sounds: list = [""] * len(clips)
    lead, length, speech = np.zeros((3, len(clips)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, item in found.items():
            ours = clips[clips["recording"] == name].sort_values("onset")
            spans = np.column_stack([np.maximum(0, ours["onset"] - context), ours["offset"] + context])
            parts = read_spans(item, name, spans, channel)
            for row, (first, _), y in zip(ours.index, spans, parts, strict=True):
                lead[row], length[row] = clips["onset"][row] - first, len(y) / DEFAULT_SR
                # The last second of a recording need not be whole.
                if length[row] <= lead[row] + max(0, clips["offset"][row] - clips["onset"][row] - 1):
                    raise ValueError(
                        f"recording {name!r:.100} ends at {first + length[row]:g} s, before the clip from "
                        f"{clips['onset'][row]:g} s to {clips['offset'][row]:g} s. Pass the recordings in which crying "
                        "was detected."
                    )
            if max_speech is not None:
                speech[ours.index] = [speech_score(y) for y in parts]
            for row, sound in zip(ours.index, pool.map(partial(_encode, lowpass=lowpass), parts), strict=True):
                sounds[row] = sound
    spoken = speech[order] > (1 if max_speech is None else max_speech)
    if spoken.any():
        digest = _checksum(f"{digest} {spoken.tolist()}")  # the browser keeps judgements by number of the clip
        _tell_left_out(int(spoken.sum()), len(clips), max_speech)
    left_out = clips.iloc[order].assign(after=np.cumsum(~spoken))[spoken]
    order = np.array(order)[~spoken].tolist()
    shown = clips.assign(lead=np.round(lead, 3), length=np.round(length, 3)).iloc[order]
    about = {
        "digest": digest,
        "rate": DEFAULT_SR,
        "top": TOP if lowpass is None else min(TOP, 2 * lowpass),
        "showScore": bool(show_score),
        "columns": COLUMNS,
        "said": words["said"],
        "saidNot": words["said_not"],
        "file": path.stem,
        "clips": shown.to_dict("records"),
        "leftOut": left_out.to_dict("records"),
    }
    text = _fill_page(about, [sounds[row] for row in order], title or f"Review of {len(shown)} clips", words)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogatepass", newline="\n")
    return path


def _checksum(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _tell_left_out(n, n_clips, max_speech):
    """Warn of clips that are left out, or refuse to leave out all."""
    if n == n_clips:
        raise ValueError(f"All {n} clips score above max_speech={max_speech:g}. Raise it, or remove speech by lowpass.")
    warn(
        f"{n} of {n_clips} clips score above max_speech={max_speech:g} and are left out. The file that the page saves "
        'says "unsure" of them. Estimates leave them out as well, though crying may be more or less frequent in them: '
        "report the columns unsure_not and unsure_cry of estimate_crying."
    )


def _check_clips(clips):
    """Return the clips with all columns, numbers other than times as texts, which the page writes as they are."""
    missing = [name for name in ("recording", "onset", "offset") if name not in clips]
    if missing or clips.empty:
        raise ValueError(
            f"clips has {len(clips)} rows and columns {list(clips.columns)!s:.100}, but recording, onset and offset of "
            "one clip or more are needed. Pass the output of select_clips."
        )
    clips = clips.reset_index(drop=True)
    faulty = ~((clips["onset"] >= 0) & (clips["offset"] > clips["onset"]) & np.isfinite(clips["offset"]))
    if faulty.any():
        row = clips[faulty].iloc[0]
        raise ValueError(
            f"clips: {row['recording']!r:.100} from {row['onset']} s to {row['offset']} s must have 0 <= onset < "
            "offset. Correct it."
        )
    twice = clips.duplicated(["recording", "onset", "offset"])
    if twice.any():
        row = clips[twice].iloc[0]
        raise ValueError(
            f"clips: {row['recording']!r:.100} from {row['onset']} s to {row['offset']} s is there twice. Call "
            "clips.drop_duplicates()."
        )
    clips = clips.assign(**{name: np.nan for name in CLIP_COLUMNS if name not in clips})[CLIP_COLUMNS]
    numbers = ["score", "stratum", "probability", "stratum_size", "stratum_drawn"]
    return clips.assign(**{name: clips[name].map(_as_text) for name in numbers})


def _as_text(number):
    """Write a number without exponent, and a missing one as nothing."""
    return "" if pd.isna(number) else np.format_float_positional(float(number), precision=9, trim="-")


def _encode(y, lowpass):
    """Return sound, (n_timepoints,) at 16 kHz, as MP3 in the letters of base64."""
    if lowpass is not None:
        y = np.concatenate(list(remove_above([y], lowpass, DEFAULT_SR)))
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", DEFAULT_SR, 1, **MP3) as sound:
        sound.write(np.clip(y, -1, 1).astype(np.float32))
    return base64.b64encode(file.getvalue()).decode()


def _words(label):
    """Return the words by which the page asks for crying, or for another class or several."""
    if label in ("cry", ["cry"]):
        ask = {"heard": "the infant cries", "question": "Does the infant cry", "name": "Cry"}
        return {**ask, "said": "cry", "said_not": "not crying"}
    name = label if isinstance(label, str) else " or ".join(label)
    ask = {"heard": f"you hear “{name}”", "question": f"Do you hear “{name}”", "name": name}
    return {**ask, "said": name, "said_not": f"not {name}"}


def _fill_page(about, sounds, title, words):
    """Put the parts of a page together; all names in it are escaped."""
    parts = {name: files(__package__).joinpath(f"page.{name}").read_text("utf-8") for name in ("html", "css", "js")}

    def allow(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    content = json.dumps(about)  # of ASCII
    for letter in "<>&":
        content = content.replace(letter, f"\\u{ord(letter):04x}")
    filled = {
        "title": html.escape(title),
        **{name: html.escape(text) for name, text in words.items()},
        "n_clips": str(len(sounds)),
        "style": parts["css"],
        "script": parts["js"],
        # No address at all, so that the page cannot send what it holds; and no other script or style.
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {allow(parts['js'])}; style-src {allow(parts['css'])}",
        "about": content,
        "sounds": "\n".join(
            f'<script type="text/plain" id="sound-{place}">{sound}</script>' for place, sound in enumerate(sounds)
        ),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], parts["html"])
