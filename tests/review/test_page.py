"""The review page as a file: what it holds, what it must not hold, and from which sound it is made."""

import base64
import hashlib
import html
import re

import numpy as np
import pandas as pd
import pytest
import soundfile

from skcry.review import write_review
from skcry.review.sounds import read_spans

COLUMNS = ["recording", "onset", "offset"]
HOSTILE = "</script><script>alert(1)</script><!-- \"'&\u2028.wav"


def steps(sr, duration=60):
    """Sound whose pitch tells the second: second k has k + 1 times 100 Hz."""
    t = np.arange(sr) / sr
    return np.concatenate([0.3 * np.sin(2 * np.pi * 100 * (k + 1) * t) for k in range(duration)]).astype(np.float32)


def seconds_of(y, sr=16000):
    """Which second of `steps` each whole second of a sound is, by its middle."""
    rows = y[: len(y) // sr * sr].reshape(-1, sr)[:, sr // 4 : -sr // 4]
    return (np.abs(np.fft.rfft(rows)).argmax(axis=1) * sr / rows.shape[1] / 100 - 1).tolist()


def make_clips(*rows, **attrs):
    clips = pd.DataFrame(rows, columns=COLUMNS)
    clips.attrs = attrs
    return clips


@pytest.fixture
def page(tmp_path):
    return tmp_path / "review.html"


def test_clips_have_their_sound_and_context(page, tmp_path, sr, parts_of):
    soundfile.write(tmp_path / "a.wav", steps(sr), sr)
    clips = make_clips(("a.wav", 0, 5), ("a.wav", 5, 10), ("a.wav", 30, 35), ("a.wav", 55, 60), context=2.0)
    assert write_review(clips, page, recordings=tmp_path) == page
    about, sounds = parts_of(page)
    found = {
        clip["onset"]: (clip["lead"], clip["length"], seconds_of(y))
        for clip, y in zip(about["clips"], sounds, strict=True)
    }
    assert found == {
        0: (0, 7, list(range(7))),
        5: (2, 9, list(range(3, 12))),
        30: (2, 9, list(range(28, 37))),
        55: (2, 7, list(range(53, 60))),
    }
    write_review(clips, page, recordings=tmp_path, context=0, overwrite=True)
    assert {len(y) / sr for y in parts_of(page)[1]} == {5}
    write_review(clips, page, recordings={"a.wav": steps(sr)}, context=0, overwrite=True)
    assert sorted(map(tuple, map(seconds_of, parts_of(page)[1])))[0] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(("suffix", "about"), [("wav", {"subtype": "PCM_24"}), ("flac", {}), ("ogg", {}), ("mp3", {})])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_spans_of_files_are_those_of_the_whole(tmp_path, suffix, about, rate):
    path = tmp_path / f"a.{suffix}"
    y = steps(rate, 40)
    soundfile.write(path, np.stack([y, 0.5 * y], axis=1), rate, **about)
    spans = np.array([[3, 8], [6, 9], [20, 22], [38, 45.5]])
    parts = read_spans(path, "a", spans)
    found = [seconds_of(part[: len(part) // 16000 * 16000]) for part in parts]
    # Formats of packets may end with some hundredths of silence.
    assert found[:3] == [[3, 4, 5, 6, 7], [6, 7, 8], [20, 21]]
    assert found[3][:2] == [38, 39]
    assert 2 <= len(parts[3]) / 16000 < 2.2
    one, other = (np.sqrt(np.mean(read_spans(path, "a", spans, channel)[0] ** 2)) for channel in (0, 1))
    assert one / other == pytest.approx(2, rel=0.05)
    with pytest.raises(ValueError, match="channel=2"):
        read_spans(path, "a", spans, 2)


def test_spans_of_joined_files_are_those_of_the_whole(tmp_path, sr):
    whole = steps(sr, 40)
    for suffix in ("flac", "ogg"):
        path = tmp_path / f"a.{suffix}"
        for part in (whole[: 15 * sr], whole[15 * sr :]):
            soundfile.write(path.with_stem("part"), part, sr)
            with path.open("ab") as file:
                file.write(path.with_stem("part").read_bytes())
        parts = read_spans(path, "a", np.array([[2, 4], [12, 18], [13, 19], [30, 33]]))
        assert [seconds_of(part) for part in parts] == [[2, 3], [*range(12, 18)], [*range(13, 19)], [30, 31, 32]]


def test_names_are_escaped(page, sr, parts_of):
    recordings = {HOSTILE: steps(sr, 10), "{{script}}": steps(sr, 10)}
    clips = make_clips((HOSTILE, 0, 5), ("{{script}}", 5, 10))
    write_review(clips, page, recordings=recordings, title=f"{HOSTILE} {{{{about}}}}")
    text = page.read_text(encoding="utf-8")
    assert text.count("alert(1)") == 3  # twice in the title, once in the table
    assert "<script>alert" not in text
    assert text.count(html.escape(HOSTILE)) == 2
    about, _ = parts_of(page)
    assert {clip["recording"] for clip in about["clips"]} == set(recordings)
    assert re.findall(r"<script\b[^>]*>", text).count("<script>") == 1
    # The only script and the only style that the browser runs are those of the package.
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    for kind, tag in (("script", "script"), ("style", "style")):
        inner = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"https?://|@import|<link (?!rel=\"icon\")|<(iframe|object|embed|img)", text)


def test_the_page_is_the_same_for_the_same_clips(page, sr, parts_of):
    y = steps(sr, 60)
    clips = make_clips(*((0, onset, onset + 5) for onset in range(0, 60, 5)))
    write_review(clips, page, recordings=[y])
    about, _ = parts_of(page)
    onsets = [clip["onset"] for clip in about["clips"]]
    assert onsets != sorted(onsets)
    assert sorted(onsets) == list(range(0, 60, 5))
    write_review(clips, page, recordings=[y], show_score=True, lowpass=1000, overwrite=True)
    again, _ = parts_of(page)
    assert (again["digest"], [clip["onset"] for clip in again["clips"]]) == (about["digest"], onsets)
    write_review(clips.iloc[1:], page, recordings=[y], overwrite=True)
    assert parts_of(page)[0]["digest"] != about["digest"]


def test_five_hundred_clips_of_noise_fit_in_20_mb(page, rng, sr):
    y = rng.normal(scale=0.1, size=60 * sr)  # nothing needs more bits
    clips = make_clips(*((0, onset, onset + 5) for onset in range(2, 50, 5)))
    write_review(clips, page, recordings=[y])
    sounds = re.findall(r">([A-Za-z0-9+/=]{1000,})<", page.read_text())
    assert len(sounds) == len(clips)
    rest = page.stat().st_size - sum(map(len, sounds))
    assert 500 * np.mean([len(sound) for sound in sounds]) + rest < 20e6


def test_clips_with_speech_are_left_out(page, sr, parts_of, monkeypatch):
    heard = []

    def speech_score(y):
        heard.append(len(y) / sr)
        return 0.9 if max(seconds_of(y)) > 40 else 0.5

    monkeypatch.setattr("skcry.review.page.speech_score", speech_score)
    clips = make_clips(*(("a", onset, onset + 5) for onset in range(0, 60, 5)), context=1)
    recordings = {"a": steps(sr)}
    write_review(clips, page, recordings=recordings)
    assert not heard
    whole, _ = parts_of(page)
    assert not whole["leftOut"]
    message = r'4 of 12 clips score above max_speech=0\.5 .* "unsure" .* unsure_not and unsure_cry of estimate_crying'
    with pytest.warns(UserWarning, match=message):
        write_review(clips, page, recordings=recordings, max_speech=0.5, overwrite=True)
    assert heard == [6, *[7] * 10, 6]  # all that is played
    about, kept = parts_of(page)
    assert "Review of 8 clips" in page.read_text(encoding="utf-8")
    assert max(second for y in kept for second in seconds_of(y)) == 40
    # The same order as without, and places that tell how many others come before.
    order = [clip["onset"] for clip in whole["clips"]]
    assert [clip["onset"] for clip in about["clips"]] == [onset for onset in order if onset < 40]
    assert [(clip["onset"], clip["after"]) for clip in about["leftOut"]] == [
        (onset, sum(other < 40 for other in order[:place])) for place, onset in enumerate(order) if onset >= 40
    ]
    assert about["digest"] != whole["digest"]  # under which the browser keeps judgements by place
    with pytest.raises(ValueError, match=r"All 12 clips score above max_speech=0\.2"):
        write_review(clips, page, recordings=recordings, max_speech=0.2, overwrite=True)


def test_lowpass_removes_what_is_above(page, rng, sr, parts_of):
    y = rng.normal(scale=0.1, size=20 * sr)
    clips = make_clips((0, 5, 10))
    level = {}
    for lowpass in (None, 600):
        write_review(clips, page, recordings=[y], lowpass=lowpass, overwrite=True)
        about, (sound,) = parts_of(page)
        power = np.abs(np.fft.rfft(sound[sr:-sr])) ** 2
        hertz = np.fft.rfftfreq(len(sound) - 2 * sr, 1 / sr)
        level[lowpass] = [10 * np.log10(power[(hertz > a) & (hertz < b)].mean()) for a, b in ((100, 550), (700, 6000))]
    assert abs(level[600][0] - level[None][0]) < 1
    assert level[600][1] < level[None][1] - 50
    assert about["top"] == 1200
    # Time is kept.
    write_review(clips, page, recordings=[steps(sr, 20)], lowpass=3000, context=2, overwrite=True)
    assert seconds_of(parts_of(page)[1][0]) == list(range(3, 12))


def test_loud_sound_is_cut_at_full_scale(page, sr, parts_of):
    write_review(make_clips((0, 0, 5)), page, recordings=[steps(sr, 5) * 10])
    assert np.abs(parts_of(page)[1][0]).max() < 1.5


def test_numbers_are_written_without_exponents(page, sr, parts_of):
    clips = make_clips((0, 0, 5), (0, 5, 10)).assign(score=[1e-5, 0.5], probability=[1 / 3, np.nan], stratum=[1, 12])
    write_review(clips, page, recordings=[steps(sr, 10)])
    (first, second) = sorted(parts_of(page)[0]["clips"], key=lambda clip: clip["onset"])
    assert [first[name] for name in ("score", "probability", "stratum", "stratum_size")] == [
        "0.00001",
        "0.333333333",
        "1",
        "",
    ]
    assert [second[name] for name in ("score", "probability", "stratum")] == ["0.5", "", "12"]


def test_recordings_are_found_by_the_ends_of_their_paths(page, tmp_path, sr):
    for home in ("one", "two"):
        (tmp_path / home).mkdir()
        soundfile.write(tmp_path / home / "a.wav", steps(sr, 10), sr)
    clips = make_clips(("one/a.wav", 0, 5))
    write_review(clips, page, recordings=tmp_path)
    write_review(clips, page, recordings=[tmp_path / "one" / "a.wav"], overwrite=True)
    with pytest.raises(ValueError, match="not among recordings= .*'one/a.wav'; it holds 'a.wav'"):
        write_review(clips, page, recordings=[tmp_path / "two" / "a.wav"], overwrite=True)
    with pytest.raises(ValueError, match="or are there twice"):
        write_review(make_clips(("a.wav", 0, 5)), page, recordings=tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (make_clips((0, 0, 5), (0, 0, 5)), "is there twice"),
        (make_clips((0, 5, 5)), "0 <= onset < offset"),
        (make_clips((0, -5, 5)), "0 <= onset < offset"),
        (make_clips((0, 0, np.inf)), "0 <= onset < offset"),
        (make_clips((0, 12, 17)), "ends at 10 s, before the clip"),
        (make_clips((0, 8, 13)), "ends at 10 s, before the clip"),
        (make_clips((1, 0, 5)), "not among recordings"),
        (make_clips(), "one clip or more"),
        (make_clips((0, 0, 5)).drop(columns="onset"), "recording, onset and offset"),
    ],
)
def test_bad_clips_are_refused(page, sr, clips, message):
    with pytest.raises(ValueError, match=message):
        write_review(clips, page, recordings=[steps(sr, 10)])
    assert not page.exists()


def test_a_last_second_that_is_not_whole_is_no_fault(page, sr, parts_of):
    write_review(make_clips((0, 5, 10)), page, recordings=[steps(sr, 10)[: -sr // 2]])
    assert parts_of(page)[0]["clips"][0]["length"] == 6.5


def test_files_are_not_replaced_unasked(page, sr, tmp_path):
    clips, recordings = make_clips((0, 0, 5)), [steps(sr, 10)]
    page.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_review(clips, page, recordings=recordings)
    assert page.read_text() == "mine"
    write_review(clips, page, recordings=recordings, overwrite=True)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_review(clips, tmp_path / "none" / "review.html", recordings=recordings)
    with pytest.raises(FileNotFoundError):
        write_review(make_clips(("a.wav", 0, 5)), tmp_path / "b.html", recordings={"a.wav": tmp_path / "a.wav"})
    for name, value in {"lowpass": 20, "max_speech": 1, "context": -1, "channel": -1, "show_score": "no"}.items():
        with pytest.raises(ValueError, match=name):
            write_review(clips, page, recordings=recordings, overwrite=True, **{name: value})


def test_libsndfile_without_mp3_is_named(page, sr, monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    with pytest.raises(OSError, match="writes no MP3.*pip install"):
        write_review(make_clips((0, 0, 5)), page, recordings=[steps(sr, 10)])
