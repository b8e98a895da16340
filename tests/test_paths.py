"""Whatever names say, results stay in the folder that they are written to."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from skcry import detect_files, draw_excerpts, read_timelines
from skcry.files import read_manifest, report
from skcry.files.manifest import MANIFEST, result_paths
from skcry.io import read_annotations, write_annotations
from skcry.io.text_files import atomic_path

SR = 16000


@pytest.fixture
def day(tmp_path, rng):
    path = tmp_path / "days" / "monday.wav"
    path.parent.mkdir()
    soundfile.write(path, 0.1 * rng.normal(size=10 * SR), SR)
    return path


def everything_but(root, *folders):
    """Name all files in a folder, and what they hold."""
    files = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {
        path: path.read_bytes() for path in files if not any(path.is_relative_to(root / folder) for folder in folders)
    }


@pytest.mark.parametrize("name", ["../evil.wav", "a/../../evil.wav", "/elsewhere/evil.wav", "..", "a\0b.wav"])
def test_a_manifest_leads_nowhere_else(quick_detector, day, tmp_path, name):
    out = tmp_path / "results"
    detect_files(quick_detector, day, out)
    before = everything_but(tmp_path, "results")
    table = pd.read_csv(out / MANIFEST, keep_default_na=False)
    table["file"] = name  # its source is still that of a true recording
    (tmp_path / "evil.wav.timeline.csv").write_text("second,score,cry,usable\n0,0.5,True,True\n")
    before[tmp_path / "evil.wav.timeline.csv"] = (tmp_path / "evil.wav.timeline.csv").read_bytes()
    table.to_csv(out / MANIFEST, index=False)
    day.touch()  # changed: to be done again, under the name that the manifest gives it
    for use in (read_timelines, report, read_manifest, lambda out: detect_files(quick_detector, day, out)):
        with pytest.raises(ValueError, match=r"manifest\.csv cannot be read .*Restore it, or delete it"):
            use(out)
    with pytest.raises(ValueError, match="leads out of the folder"):
        result_paths(out, name)
    assert everything_but(tmp_path, "results") == before
    assert len(detect_files(quick_detector, day, out, overwrite=True)) == 1


def test_a_name_asked_for_must_be_in_the_manifest(quick_detector, day, tmp_path):
    detect_files(quick_detector, day, tmp_path / "results")
    for name in ("../days/monday.wav", str(day), "..\\monday.wav"):
        with pytest.raises(ValueError, match="holds no results of"):
            read_timelines(tmp_path / "results", [name])


def test_recordings_found_through_links_and_dots(quick_detector, day, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    soundfile.write(tmp_path / "elsewhere" / "far.wav", np.zeros(5 * SR), SR)
    (day.parent / "link.wav").symlink_to(tmp_path / "elsewhere" / "far.wav")
    (day.parent / "folder").symlink_to(tmp_path / "elsewhere")
    before = everything_but(tmp_path, "results")
    recordings = [day.parent / "link.wav", day.parent / "folder" / "far.wav", day.parent / ".." / "days" / "monday.wav"]
    with pytest.warns(UserWarning, match="silence"):
        manifest = detect_files(quick_detector, recordings, tmp_path / "results")
    assert manifest["file"].tolist() == ["link.wav", "folder/far.wav", "monday.wav"]
    assert everything_but(tmp_path, "results") == before
    assert len(read_timelines(tmp_path / "results")) == 20
    with pytest.warns(UserWarning, match="silence"):  # a link to a folder is not searched
        manifest = detect_files(quick_detector, day.parent, tmp_path / "second")
    assert manifest["file"].tolist() == ["link.wav", "monday.wav"]


def test_a_link_among_the_results_is_not_followed(quick_detector, day, tmp_path):
    inner = day.parent / "home"
    inner.mkdir()
    day.rename(inner / "monday.wav")
    soundfile.write(day.parent / "sunday.wav", np.ones(6 * SR) * 0.1, SR)
    (tmp_path / "precious").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "home").symlink_to(tmp_path / "precious")
    (tmp_path / "results" / "sunday.wav.events.csv").symlink_to(tmp_path / "precious" / "events.csv")
    with pytest.warns(UserWarning, match="is a link that leads out of the folder"):
        manifest = detect_files(quick_detector, day.parent, tmp_path / "results")
    assert manifest["status"].tolist() == ["error", "ok"]
    assert list((tmp_path / "precious").iterdir()) == []
    assert len(read_timelines(tmp_path / "results")) == 6


def test_folders_called_like_the_manifest(quick_detector, day, tmp_path):
    for name in ("manifest.csv", "detector.json"):
        (day.parent / name).mkdir()
        soundfile.write(day.parent / name / "a.wav", np.ones(6 * SR) * 0.1, SR)
    for _ in range(2):
        with pytest.warns(UserWarning, match="Rename that folder"):
            manifest = detect_files(quick_detector, day.parent, tmp_path / "results")
        assert manifest["status"].tolist() == ["error", "error", "ok"]
        assert read_timelines(tmp_path / "results").index.unique("recording").tolist() == ["monday.wav"]


def test_excerpts_stay_in_their_folder(day, tmp_path):
    events = pd.DataFrame({"recording": [0], "onset": [2.0], "offset": [7.0]})
    odd = day.parent / "..x.wav"
    day.rename(odd)
    before = everything_but(tmp_path, "out")
    table = draw_excerpts([day.parent / ".." / "days" / odd.name], events, tmp_path / "out", duration=4, random_state=0)
    assert table["file"].tolist() == ["0_..x_1.wav"]
    for suffix in (".csv/../../evil.csv", "/../evil.csv", "..\\evil.csv", "csv"):
        with pytest.raises(ValueError, match="must be the ending of a file name"):
            draw_excerpts([odd], events, tmp_path / "out", duration=4, suffix=suffix)
    assert everything_but(tmp_path, "out") == before


def test_names_in_annotations_are_no_paths(tmp_path):
    rows = [(0.0, 1.0, "../../etc/passwd"), (1.0, 2.0, "/elsewhere/evil")]
    for format in ("rttm", "childproject", "csv", "audacity", "textgrid", "elan"):
        suffix = {"rttm": ".rttm", "textgrid": ".TextGrid", "elan": ".eaf", "audacity": ".txt"}.get(format, ".csv")
        path = tmp_path / "out" / f"{format}{suffix}"
        path.parent.mkdir(exist_ok=True)
        write_annotations(rows, path, format=format, recording="../../evil")
        assert read_annotations(path).to_numpy().tolist() == [list(row) for row in rows]
    assert len(everything_but(tmp_path)) == 6


@pytest.mark.parametrize("name", ["泣" * 85, "a" * 255, "é" * 127])
def test_names_of_any_length_are_written(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
