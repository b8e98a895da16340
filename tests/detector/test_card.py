"""Figures and sentences of the model card."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import fast, write_annotated
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skcry
from skcry import CryDetector, EnergyGate, PretrainedEmbedding
from skcry.datasets import load_annotated
from skcry.detector.card import ModelCard


@pytest.fixture(scope="module")
def fitted(recordings, annotations, infants):
    return CryDetector(fast(), gate=EnergyGate(), random_state=0).fit(recordings, annotations, groups=infants)


def row(card, name):
    return re.search(rf"\| {name}[^|]*\| ([^|]*) \|", str(card))[1]


def test_training_data(fitted, annotations):
    card = fitted.card()
    assert row(card, "recordings") == "6"
    assert row(card, "infants") == "3"
    assert row(card, "sound") == "4 minutes"
    seconds = sum((table["offset"] - table["onset"])[table["label"] == "cry"].sum() for table in annotations)
    assert float(row(card, "crying in it").split()[0]) == pytest.approx(seconds, abs=3)
    assert row(card, "labelled cry").startswith(
        f"{sum((table['label'] == 'cry').sum() for table in annotations)} stretches"
    )
    assert "recordings[0], recordings[1]" in str(card)


def test_scores_are_of_left_out_data(fitted):
    left_out, card = fitted.left_out_, fitted.card()
    assert len(left_out["score"]) == 240
    assert (np.bincount(left_out["recording"]) == 40).all()
    assert (left_out["group"] == left_out["recording"] // 2).all()
    ap = average_precision_score(left_out["crying"], left_out["score"])
    value, low, high = (float(one) for one in re.findall(r"[\d.]+", row(card, "average precision")))
    assert value == pytest.approx(ap, abs=0.005)
    assert low <= value <= high
    f1 = f1_score(left_out["crying"], left_out["score"] >= fitted.threshold_)
    assert row(card, "F1 at").startswith(f"{f1:.2f}")
    assert f"if its score is at least {fitted.threshold_:.3g}." in str(card)
    assert "best F1" in str(card)


def test_other_detectors(recordings, annotations):
    plain = str(CryDetector(fast(), threshold=0.4).fit(recordings, annotations).card())
    assert "Not measured" in plain
    assert "at least 0.4. This threshold was set by the user." in plain
    assert "unknown: each recording is a group" in plain
    alarms = CryDetector(fast(), max_false_alarms=30, random_state=0).fit(recordings, annotations)
    assert "at most 30 false alarms per hour" in str(alarms.card())
    splits = [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1]), ([0, 1, 4, 5], [2, 3])]
    labels = CryDetector(fast(), cv=splits).fit(recordings, ["cry", "other"] * 3)
    assert "3 recordings, 2 minutes" in row(labels.card(), "labelled cry")
    assert "Measured on 6 recordings" in str(labels.card())
    assert "share of the detected recordings that are crying" in str(labels.card())
    several = CryDetector(fast(), positive=None, negative="quiet", threshold=0.5)
    several.fit(recordings, [table.assign(label=["cry", "fuss"][i % 2]) for i, table in enumerate(annotations)])
    assert "the probability of each class: cry, fuss" in str(several.card())
    adapted = CryDetector(fast(), random_state=0).fit(recordings, annotations)
    adapted.calibrate(recordings[:1], annotations[:1])
    assert f"{adapted.level_:+.2f} on the log-odds" in str(adapted.card())
    with pytest.raises(NotFittedError):
        CryDetector().card()


def test_recordings_have_the_names_of_their_files(recordings, annotations, infants, tmp_path):
    write_annotated(tmp_path, recordings, annotations)
    data = load_annotated(tmp_path)
    loaded = CryDetector(fast(), threshold=0.5).fit(data.recordings, data.annotations)
    paths = [tmp_path / name for name in data.names]
    from_files = CryDetector(fast(), threshold=0.5).fit(paths, annotations)
    for detector in (loaded, from_files, pickle.loads(pickle.dumps(loaded))):
        assert "Files: day0.wav, day1.wav, day2.wav, day3.wav, day4.wav, day5.wav." in str(detector.card())
    subset = CryDetector(fast(), threshold=0.5).fit(data.recordings[2:], data.annotations[2:])
    assert "Files: day2.wav, day3.wav, day4.wav, day5.wav." in str(subset.card())


def test_what_the_network_of_the_package_was_trained_on(recordings, annotations):
    chain = make_pipeline(PretrainedEmbedding(), StandardScaler(), LogisticRegression())
    search = GridSearchCV(chain, {"logisticregression__C": [1.0]}, cv=2)
    for estimator in (chain, search):
        sections = dict(CryDetector(estimator, threshold=0.5).fit(recordings[:4], annotations[:4]).card().sections)
        assert list(sections)[:3] == ["Purpose", "Training data", "Pre-training"]
        about = " ".join(sections["Pre-training"])
        assert re.search(r"mixtures of free sound: \d+ minutes of crying", about)
        assert "YAMNet" in about
        assert about.endswith("skcry/pretrained/CREDITS.md, a file of the package.")
    assert (Path(skcry.__file__).parent / "pretrained" / "CREDITS.md").exists()


def test_other_detectors_were_not_pretrained(fitted):
    assert "Pre-training" not in dict(fitted.card().sections)


def test_long_lists_of_files_are_cut(fitted, monkeypatch):
    monkeypatch.setitem(fitted.training_, "recordings", [f"{i}.wav" for i in range(50)])
    assert "19.wav and 30 more" in str(fitted.card())


def test_markdown_and_html_escape_special_characters():
    card = ModelCard("A <title>", [("Part", ["Text & more.", {"a|b": "x|y", "<b>": "1\n2"}, ("code <here>",)])])
    assert str(card) == (
        "# A <title>\n\n## Part\n\nText & more.\n\n| | |\n|---|---|\n| a\\|b | x\\|y |\n| <b> | 1 2 |\n\n"
        "```\ncode <here>\n```\n"
    )
    html = card._repr_html_()
    assert html == card.to_html()
    assert "<h1>A &lt;title&gt;</h1>" in html
    assert "<tr><th>&lt;b&gt;</th><td>1\n2</td></tr>" in html
    assert "<pre>code &lt;here&gt;</pre>" in html
