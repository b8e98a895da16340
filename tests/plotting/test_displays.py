"""What the displays draw is what there is."""

import subprocess
import sys
import warnings

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression

from skcry import Windower, make_cry_pipeline
from skcry.metrics import event_counts, event_truth
from skcry.plotting import DayDisplay, EmbeddingDisplay, EventMatchDisplay, TimelineDisplay


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def spans(bars):
    """Left and right edges of bars."""
    corners = [path.vertices[:, 0] for path in bars.get_paths()]
    return sorted((float(one.min()), float(one.max())) for one in corners)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def timeline_of(score, usable=True):
    return pd.DataFrame({"score": np.asarray(score, dtype=float), "usable": usable})


# A stretch of sound


@pytest.mark.parametrize("kind", ["spectrogram", "waveform"])
def test_timeline_shows_score_truth_and_detections(quick_detector, cry_data, kind):
    display = TimelineDisplay.from_estimator(quick_detector, cry_data[0][0], cry_data[1][0], kind=kind, name="Ada")
    found, table = quick_detector.detect(cry_data[0][:1]), cry_data[1][0]
    np.testing.assert_allclose(spans(display.bars_["detected"]), found[["onset", "offset"]])
    np.testing.assert_allclose(spans(display.bars_["truth"]), table.loc[table["label"] == "cry", ["onset", "offset"]])
    heights = display.line_.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(quick_detector.timeline(cry_data[0][:1])["score"].max())
    assert display.ax_.get_xlim() == display.sound_ax_.get_xlim() == (0, 40)
    assert f"threshold {quick_detector.threshold_:.2f}" in texts(display.ax_)
    assert display.sound_ax_.get_title() == "Ada"
    assert display.ax_.get_xlabel() == "Time in the recording (s)"


def test_timeline_of_a_stretch_of_a_file(quick_detector, cry_data, tmp_path):
    y = np.concatenate(cry_data[0][:2])
    soundfile.write(tmp_path / "long.wav", y, 16000, subtype="FLOAT")
    display = TimelineDisplay.from_estimator(quick_detector, tmp_path / "long.wav", start=30.7, duration=20)
    assert display.ax_.get_xlim() == (30, 50)
    np.testing.assert_allclose(display.sound, y[30 * 16000 : 50 * 16000])
    whole = quick_detector.timeline([y])["score"].to_numpy()
    np.testing.assert_allclose(display.timeline["score"], whole[30:50], atol=1e-6)
    assert display.sound_ax_.get_title() == "long.wav"
    assert list(display.bars_) == ["detected"]
    for start, duration, message in ((80, 20, "within the 80 s"), (0, 4000, "up to 600 s")):
        with pytest.raises(ValueError, match=message):
            TimelineDisplay.from_estimator(quick_detector, tmp_path / "long.wav", start=start, duration=duration)


def test_timeline_alone_and_in_a_grid():
    display = TimelineDisplay.from_predictions(timeline_of([0.1, 0.9]))
    assert display.sound_ax_ is None
    assert display.bars_ == {}
    figure, axes = plt.subplots(2)
    display = TimelineDisplay.from_predictions(
        timeline_of([0.1, 0.9]), [], [(0, 1, "cry"), (0, 2, "noise")], sound=np.zeros(32000), ax=axes[1]
    )
    assert display.figure_ is figure
    assert spans(display.bars_["truth"]) == [(0, 1)]
    assert "detected: 0 events" in texts(display.ax_)
    figure.canvas.draw()


def test_timeline_of_several_recordings_or_none(quick_detector, cry_data):
    with pytest.raises(ValueError, match="holds 2 recordings, but one is drawn"):
        TimelineDisplay.from_predictions(quick_detector.timeline(cry_data[0][:2]))
    with pytest.raises(ValueError, match="columns"):
        TimelineDisplay.from_predictions(pd.DataFrame({"cry": [1]}))
    with pytest.raises(TypeError, match="has no timeline"):
        TimelineDisplay.from_estimator(KMeans(), cry_data[0][0])
    with pytest.raises(ValueError, match="kind='both'"):
        TimelineDisplay.from_predictions(timeline_of([0.5]), kind="both")


# A day


def test_day_has_hours_as_rows():
    score = np.full(3 * 3600, 0.1)
    score[4000:4600] = 0.9
    usable = np.ones(len(score), dtype=bool)
    usable[8000:9000] = False
    events = [(4000, 4600), (7100, 7400)]
    display = DayDisplay.from_predictions(timeline_of(score, usable), events, start="2024-05-06 23:30", threshold=0.5)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["23:00", "7 May  00:00", "01:00", "02:00"]
    # 1800 s into its hour it began; the second bout goes over the full hour.
    np.testing.assert_allclose(display.minutes_, [0, 10, 5, 0])
    assert len(display.bouts_.get_paths()) == 2
    assert display.minutes_.sum() * 60 == sum(offset - onset for onset, offset in events)
    ((left, right),) = spans(display.unusable_)
    assert (left, right) == pytest.approx(((8000 + 1800) / 60 - 120, (9000 + 1800) / 60 - 120), abs=0.1)
    rise = [np.ptp(area.get_paths()[0].vertices[:, 1]) for area in display.areas_]
    np.testing.assert_allclose(np.divide(rise, rise[0]), [1, 9, 1, 1])
    assert "15.0 min of crying in 2 bouts" in display.ax_.get_title()
    assert "no sound" in texts(display.ax_)


def test_day_of_a_detector(quick_detector, cry_data, tmp_path):
    soundfile.write(tmp_path / "ada.wav", np.concatenate(cry_data[0]), 16000, subtype="FLOAT")
    display = DayDisplay.from_estimator(quick_detector, tmp_path / "ada.wav")
    found = quick_detector.detect([tmp_path / "ada.wav"])
    assert display.minutes_.sum() == pytest.approx((found["offset"] - found["onset"]).sum() / 60)
    assert display.ax_.get_title().startswith("ada.wav")
    assert display.ax_.get_ylabel() == "Hours since the recording began"


def test_day_that_begins_as_its_name_says(quick_detector, cry_data, tmp_path):
    path = tmp_path / "20240506_235930.wav"
    soundfile.write(path, cry_data[0][0], 16000, subtype="FLOAT")
    for recording in (path, str(path)):
        display = DayDisplay.from_estimator(quick_detector, recording, start="name")
        assert display.start == pd.Timestamp("2024-05-06 23:59:30")
    display = DayDisplay.from_predictions(timeline_of([0.1]), start="%H:%M, %d.%m.%Y", name="ada 08:15, 01.05.2024")
    assert display.start == pd.Timestamp("2024-05-01 08:15")
    with pytest.raises(ValueError, match="start='name' finds the time in names of files"):
        DayDisplay.from_estimator(quick_detector, cry_data[0][0], start="name")


@pytest.mark.parametrize("n_seconds", [1, 7, 3600, 3601, 16 * 3600])
def test_day_of_any_length(n_seconds):
    display = DayDisplay.from_predictions(timeline_of(np.linspace(0, 1, n_seconds)), [])
    assert len(display.areas_) == -(-n_seconds // 3600)
    assert display.ax_.get_title() == "No crying found"
    ((left, right),) = spans(display.areas_[-1])
    assert (left, right) == (0, pytest.approx(-(-(n_seconds - 3600 * (len(display.areas_) - 1)) // 5) * 5 / 60))
    display.figure_.canvas.draw()


# Embeddings


def test_embeddings_are_coloured_by_label(rng):
    y = np.repeat(["a", "b", "c"], [30, 20, 10])
    embeddings = rng.normal(size=(60, 12)) + 5 * (y == "a")[:, None]
    display = EmbeddingDisplay.from_embeddings(embeddings, y)
    assert {name: len(points.get_offsets()) for name, points in display.points_.items()} == {"a": 30, "b": 20, "c": 10}
    colors = {matplotlib.colors.to_hex(points.get_facecolor()[0]) for points in display.points_.values()}
    assert len(colors) == 3
    assert texts(display.ax_) == ["a (30)", "b (20)", "c (10)"]
    assert "Principal component 1 (" in display.ax_.get_xlabel()
    apart = display.points[y == "a", 0], display.points[y != "a", 0]
    assert max(map(np.min, apart)) > min(map(np.max, apart))
    again = EmbeddingDisplay.from_embeddings(embeddings, y, projection=TruncatedSVD(2, random_state=0))
    assert again.points.shape == (60, 2)
    with pytest.raises(ValueError, match=r"gave shape \(60, 3\)"):
        EmbeddingDisplay.from_embeddings(embeddings, y, projection=TruncatedSVD(3, random_state=0))
    with pytest.raises(ValueError, match="inconsistent"):
        EmbeddingDisplay.from_embeddings(embeddings, y[1:])


def test_many_labels_look_different_and_are_sorted_by_their_numbers(rng):
    names = [f"infant {number}" for number in range(1, 38)]
    y = np.repeat(names, 2)
    with pytest.warns(UserWarning, match="37 labels, but only 36 pairs of colour and marker"):
        display = EmbeddingDisplay.from_embeddings(rng.normal(size=(74, 4)), y)
    assert texts(display.ax_) == [f"{name} (2)" for name in names]
    looks = {
        (matplotlib.colors.to_hex(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes())
        for points in display.points_.values()
    }
    assert len(looks) == 36
    display.figure_.canvas.draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EmbeddingDisplay.from_embeddings(rng.normal(size=(72, 4)), y[:72])


def test_embeddings_of_what_transforms(cry_data):
    X = Windower().fit_transform(cry_data[0])
    y = X.label(cry_data[1])
    pipeline = make_cry_pipeline(features="stats", random_state=0).set_params(features__stats__features=["mfcc"])
    display = EmbeddingDisplay.from_estimator(pipeline.fit(X, y), X, y)
    by_hand = EmbeddingDisplay.from_embeddings(pipeline[:-2].transform(X), y)
    np.testing.assert_allclose(display.points, by_hand.points)
    with pytest.raises(TypeError, match="LogisticRegression has no transform"):
        EmbeddingDisplay.from_estimator(LogisticRegression(), X, y)


# Events found and missed


def test_matches_are_those_of_the_metrics(quick_detector, cry_data):
    display = EventMatchDisplay.from_estimator(quick_detector, *cry_data[:2])
    durations = [len(y) / 16000 for y in cry_data[0]]
    counts = event_counts(event_truth(cry_data[1]), quick_detector.detect(cry_data[0]), durations).sum()
    n_true, n_found, n_recalled, n_correct = counts.iloc[:4].astype(int)
    assert display.counts_ == {
        "found": n_recalled,
        "missed": n_true - n_recalled,
        "right": n_correct,
        "false alarms": n_found - n_correct,
    }
    assert f"{n_recalled} of {n_true} events found" in display.ax_.get_title()
    assert display.ax_.get_xlim() == (0, 40)
    assert display.ax_.get_yticklabels()[0].get_text() == "recording 0"


def test_each_event_is_in_its_row():
    true, found = [[(0, 20, "cry"), (60, 80, "cry")], []], [[(2, 20, "cry"), (100, 110, "cry")], [(5, 9, "cry")]]
    display = EventMatchDisplay.from_predictions(true, found, names=["Ada", "Ben"])
    assert spans(display.bars_["found"]) == [(0, 20)]
    assert spans(display.bars_["missed"]) == [(60, 80)]
    assert spans(display.bars_["right"]) == [(2, 20)]
    assert spans(display.bars_["false alarms"]) == [(5, 9), (100, 110)]
    rows = sorted(path.vertices[:, 1].mean() // 1 for path in display.bars_["false alarms"].get_paths())
    assert rows == [0, 1]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["Ada", "Ben"]
    looser = EventMatchDisplay.from_predictions(true, found, matching="collar", onset_collar=50, offset_collar=50)
    assert looser.counts_["found"] == 2
    with pytest.raises(TypeError, match="columns"):
        EventMatchDisplay.from_predictions(pd.DataFrame({"x": [1]}), event_truth(found))
    with pytest.raises(ValueError, match="Got 1 names for 2 recordings"):
        EventMatchDisplay.from_predictions(true, found, names=["Ada"])


def test_no_events_at_all():
    display = EventMatchDisplay.from_predictions([[]], [[]], duration=60)
    assert display.ax_.get_title() == "No true events, nothing detected"
    display.figure_.canvas.draw()


def test_without_matplotlib_there_is_a_remedy():
    code = """
import sys
sys.modules["matplotlib"] = None
import pandas as pd
from skcry.plotting import DayDisplay
try:
    DayDisplay.from_predictions(pd.DataFrame({"score": [0.5]}))
except ImportError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DayDisplay.from_predictions requires matplotlib" in out.stdout
    assert "pip install 'skcry[plot]'" in out.stdout
