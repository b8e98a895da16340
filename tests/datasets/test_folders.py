"""Folders of annotated recordings and tables of clips: what comes out, and every fault at once."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_array_equal

from skcry.datasets import load_annotated, load_clips
from skcry.io import write_annotations


@pytest.fixture
def folder(tmp_path, rng, sr):
    """Two recordings of 2 s and 3 s with annotations."""
    for name, seconds in (("b.flac", 3), ("a.WAV", 2)):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(seconds * sr), sr)
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("start,end,label\n0.5,1.5,cry\n")
    return tmp_path


def test_load_annotated(folder, sr):
    data = load_annotated(folder)
    assert data.names == ["a.WAV", "b.flac"]
    assert [len(y) for y in data.recordings] == [2 * sr, 3 * sr]
    assert {y.dtype for y in data.recordings} == {np.dtype(np.float32)}
    assert [len(table) for table in data.annotations] == [0, 1]
    assert data.annotations[1].iloc[0].tolist() == [0.5, 1.5, "cry"]
    assert_array_equal(data.groups, [0, 1])


def test_hidden_and_other_files_are_ignored(folder):
    for name in (".DS_Store", "._a.wav", "._a.csv", "README.txt"):
        (folder / name).write_bytes(b"\x00\x01")
    (folder / "more.wav").mkdir()
    assert [len(y) for y in load_annotated(str(folder), sr=8000).recordings] == [16000, 24000]


@pytest.mark.parametrize("name", ["a.TextGrid", "a.eaf", "a.txt", "a.rttm"])
def test_load_annotated_with_other_formats(folder, name):
    (folder / "a.csv").unlink()
    write_annotations([(0.5, 1.25, "cry")], folder / name)
    tables = load_annotated(folder).annotations
    assert tables[0].to_numpy().tolist() == [[0.5, 1.25, "cry"]]
    assert tables[1].to_numpy().tolist() == [[0.5, 1.5, "cry"]]


def test_load_annotated_by_tier(folder):
    (folder / "a.csv").unlink()
    write_annotations([(0.5, 1.25, "cry")], folder / "a.TextGrid", tier="silences")
    assert len(load_annotated(folder, tier="silences").annotations[0]) == 1
    with pytest.raises(ValueError, match="a.TextGrid holds no tier 'cry', but 'silences'"):
        load_annotated(folder, tier="cry")


def test_faults_of_annotations_in_several_formats(folder):
    (folder / "a.eaf").write_text("<xml")
    (folder / "b.csv").rename(folder / "c.TextGrid")
    (folder / "notes.txt").write_text("what to annotate next")
    with pytest.raises(ValueError, match="cannot be loaded, 5 faults") as error:
        load_annotated(folder)
    for part in (
        "a.csv, a.eaf: 2 files of one name. Keep one",
        "a.eaf cannot be read as an ELAN file",
        "b.flac has no b.csv. Add one, an empty one where nothing was heard, or annotations in another format (.txt, ",
        "c.TextGrid has no audio file c.wav (or .flac, ...). Add it, or move c.TextGrid away",
    ):
        assert part in str(error.value)


def test_groups_file(folder):
    (folder / "groups.csv").write_text("file,group\nb.flac,002\na.WAV,001\n")
    assert load_annotated(folder).groups.tolist() == ["001", "002"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,group\nb.flac,1\n", "no group for 'a.WAV'. Add a row"),
        ("file,group\na.WAV,\nb.flac,1\n", "no group for 'a.WAV'. Add a row"),
        ("file,group\na.WAV,1\nb.flac,1\nc.wav,2\n", "'c.wav', which is no recording"),
        ("file,group\na.WAV,1\nb.flac,1\na.WAV,2\n", "'a.WAV' more than once"),
        ("name,group\na.WAV,1\n", r"no column 'file'; its columns are \['name', 'group'\]"),
        ("", "groups.csv cannot be read"),
    ],
)
def test_faulty_groups_file(folder, text, message):
    (folder / "groups.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_annotated(folder)


def test_every_fault_of_a_folder_in_one_error(folder, sr):
    for name in "bcdfg":
        soundfile.write(folder / f"{name}.wav", np.zeros(0 if name == "f" else sr), sr)
    texts = {"d": "0.2,7.5,cry\n", "e": "1,2,cry\nx,3,cry\n", "f": "", "g": "0.9,0.2,cry\n", "h": ""}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "h.mp3").write_bytes(b"no sound at all")
    with pytest.raises(ValueError, match="cannot be loaded, 8 faults") as error:
        load_annotated(folder)
    message = str(error.value)
    for part in (
        "b.flac, b.wav: 2 files of one name. Keep one",
        "c.wav has no c.csv. Add one, an empty one where nothing was heard",
        "d.csv: 'cry' from 0.2 s to 7.5 s ends after the recording, which lasts 1 s",
        "e.csv has no audio file e.wav",
        "e.csv, line 2: 'x,3,cry'",
        "f.wav: 0 bytes of audio",
        "g.csv: 'cry' from 0.9 s to 0.2 s ends before it starts",
        "h.mp3 cannot be read as audio",
    ):
        assert part in message


def test_no_folder(tmp_path):
    with pytest.raises(ValueError, match="holds no audio file"):
        load_annotated(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_annotated(tmp_path / "nowhere")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        load_annotated(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="'sr' parameter"):
        load_annotated(tmp_path, sr=0)


def test_subfolders(folder, sr):
    (folder / "home 2" / "more").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("home 2/more/a.wav", ".hidden/x.wav"):
        soundfile.write(folder / name, np.full(sr, 0.1), sr)
    (folder / "home 2" / "more" / "a.csv").write_text("0,1,cry\n")
    data = load_annotated(folder)
    assert data.names == ["a.WAV", "b.flac", "home 2/more/a.wav"]
    assert [len(table) for table in data.annotations] == [0, 1, 1]
    (folder / "groups.csv").write_text("file,group\na.WAV,Ada\nb.flac,Ada\nhome 2/more/a.wav,Ben\n")
    assert load_annotated(folder).groups.tolist() == ["Ada", "Ada", "Ben"]
    (folder / "home 2" / "groups.csv").write_text("file,group\na.wav,Cleo\n")
    (folder / "home 2" / "more" / "a.csv").write_text("0,x,cry\n")
    with pytest.raises(ValueError, match="2 faults") as error:
        load_annotated(folder)
    assert "home 2/more/a.csv: a.csv, line 1: '0,x,cry'" in str(error.value)
    assert "home 2/groups.csv is not read. List its recordings in groups.csv of the folder" in str(error.value)


def test_links_to_folders_are_named(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    soundfile.write(elsewhere / "c.wav", np.full(16000, 0.1), 16000)
    (folder / "more").symlink_to(elsewhere)
    with pytest.warns(UserWarning, match="links to folders are not searched: 'more'") as caught:
        assert load_annotated(folder).names == ["a.WAV", "b.flac"]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["c.ds2", "c.DS2", "sub/c.ds2"])
@pytest.mark.parametrize("with_text", [True, False])
def test_recordings_that_are_not_loaded_are_named(folder, name, with_text):
    (folder / "sub").mkdir()
    (folder / name).write_bytes(b"x")
    if with_text:
        (folder / name).with_suffix(".txt").write_text("0\t1\tcry\n")
    with pytest.raises(ValueError, match=f"1 fault:\n- {name} is a recording of a type that is not loaded. Convert"):
        load_annotated(folder)
    # The file that was converted may stay where it is.
    soundfile.write((folder / name).with_suffix(".wav"), np.full(16000, 0.1), 16000)
    (folder / name).with_suffix(".txt").write_text("0\t1\tcry\n")
    assert len(load_annotated(folder).names) == 3


def test_format_of_a_folder(folder):
    (folder / "a.csv").write_text("0,1\n1,1\n")
    (folder / "b.csv").write_text("0\n1\n0\n")
    (folder / "b.TextGrid").write_text("not read")
    data = load_annotated(folder, format="seconds")
    assert [table["offset"].tolist() for table in data.annotations] == [[2.0], [2.0]]
    with pytest.raises(ValueError, match="a.WAV has no a.eaf"):
        load_annotated(folder, format="elan")
    with pytest.raises(ValueError, match="'format' parameter"):
        load_annotated(folder, format="praat")


def test_recordings_of_a_table(folder):
    table = "filename\tonset\toffset\tevent_label\nx/a.WAV\t0.5\t1\tcry\nx/b.wav\t0.5\t2\tfuss\n"
    for name in ("a", "b"):
        (folder / f"{name}.csv").unlink()
        (folder / f"{name}.tsv").write_text(table)
    data = load_annotated(folder)
    assert [rows.to_numpy().tolist() for rows in data.annotations] == [[[0.5, 1, "cry"]], [[0.5, 2, "fuss"]]]
    data = load_annotated(folder, recording="a.WAV")
    assert [rows["label"].tolist() for rows in data.annotations] == [["cry"], ["cry"]]
    (folder / "b.tsv").write_text(table.replace("b.wav", "c.wav"))
    with pytest.raises(ValueError, match="b.tsv holds no recording 'b.flac', but 'x/a.WAV', 'x/c.wav'"):
        load_annotated(folder)


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_groups_that_look_the_same(folder, sep):
    (folder / "groups.csv").write_text(f"file{sep}group\na.WAV{sep}Zoë\nb.flac{sep}zoe\n", "utf-8")
    with pytest.raises(ValueError, match="groups.csv: the groups 'Zoë', 'zoe' look the same"):
        load_annotated(folder)
    # Blanks around a name are no part of it.
    (folder / "groups.csv").write_text(f"file{sep}group\na.WAV {sep}Ada\nb.flac{sep} Ada \n")
    assert load_annotated(folder).groups.tolist() == ["Ada", "Ada"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,group\na.WAV,x,Ada\nb.flac,Ben\n", "groups.csv, line 2: 'a.WAV,x,Ada'. There are 2 columns"),
        ('file,group\na.WAV,"Ada\nb.flac,Ben"\n', "groups.csv, line 2: .* closed in another row"),
        ("file,group,group\na.WAV,Ada,Ben\nb.flac,Ben,Ada\n", "groups.csv has more than one column 'group'"),
    ],
)
def test_columns_of_groups_do_not_shift(folder, text, message):
    (folder / "groups.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_annotated(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,source,group\na.WAV,x,Ada\n", "excerpts.csv has no group for 'b.flac'. Add groups.csv"),
        ("file,source,group\na.WAV,x,Ada\nb.flac,x,\n", "excerpts.csv has a row without file or group"),
        ("file,name\na.WAV,x\n", "excerpts.csv has no column 'source'"),
    ],
)
def test_faulty_index_of_excerpts(folder, text, message):
    (folder / "excerpts.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_annotated(folder)
    (folder / "groups.csv").write_text("file,group\na.WAV,Ada\nb.flac,Ben\n")
    assert load_annotated(folder).groups.tolist() == ["Ada", "Ben"]


@pytest.fixture
def clips():
    return pd.DataFrame({"file": ["b.flac", "a.WAV"], "label": [1, 0], "group": ["Ada", "Ben"]})


def test_load_clips_from_csv_and_from_table(folder, clips, sr):
    (folder / "clips").mkdir()
    clips.to_csv(folder / "table.csv", index=False)
    for data in (load_clips(folder / "table.csv"), load_clips(clips, folder=folder)):
        assert [len(y) for y in data.recordings] == [3 * sr, 2 * sr]
        assert data.labels.dtype.kind == "i"
        assert data.labels.tolist() == [1, 0]
        assert data.groups.tolist() == ["Ada", "Ben"]
        assert data.names == ["b.flac", "a.WAV"]


def test_load_clips_columns_by_name(folder, clips):
    clips = clips.rename(columns={"file": "path", "label": "sound", "group": "infant"}).replace({0: "talk", 1: "cry"})
    data = load_clips(clips, file="path", label="sound", group=None, folder=folder)
    assert data.labels.tolist() == ["cry", "talk"]
    assert data.groups.tolist() == [0, 1]


def test_load_clips_missing_column(clips):
    with pytest.raises(ValueError, match=r"no column 'source'; its columns are \['file', 'label', 'group'\]"):
        load_clips(clips, group="source")


def test_load_clips_every_fault_in_one_error(folder, clips):
    clips.loc[2] = ["nowhere.wav", 1, "Cleo"]
    clips.loc[3] = ["a.WAV", None, None]
    clips.loc[4] = [None, 0, "Cleo"]
    with pytest.raises(ValueError, match="4 faults") as error:
        load_clips(clips, folder=folder)
    for part in ("row 3: ", "nowhere.wav: no such file", "row 4: no 'label'", "row 4: no 'group'", "row 5: no 'file'"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["01", "1"], ["01", "1"]),
        (["1", "-2"], [1, -2]),
        (["\u0661", "1"], ["\u0661", "1"]),
        (["-0", "0"], ["-0", "0"]),
    ],
)
def test_labels_that_are_no_integers_stay_texts(folder, clips, labels, expected):
    clips.assign(label=labels).to_csv(folder / "clips.csv", index=False)
    assert load_clips(folder / "clips.csv").labels.tolist() == expected


def test_clips_that_would_merge_or_shift(folder, clips):
    for table, message in (
        (clips.assign(group=["Ada", "ada"]), "the groups 'Ada', 'ada' look the same"),
        (clips.assign(group=[1, "1"]), "'group' mixes numbers and texts"),
        (clips.assign(label=[1, "1"]), "'label' mixes numbers and texts"),
    ):
        with pytest.raises(ValueError, match=message):
            load_clips(table, folder=folder)
    (folder / "clips.csv").write_text("file,label,group\nb.flac,x,cry,Ada\na.WAV,y,cry,Ben\n")
    with pytest.raises(ValueError, match="clips.csv, line 2: 'b.flac,x,cry,Ada'; line 3: .* There are 3 columns"):
        load_clips(folder / "clips.csv")


def test_load_clips_without_clips(tmp_path, clips):
    with pytest.raises(ValueError, match="has no rows"):
        load_clips(clips.iloc[:0])
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_clips(tmp_path / "clips.csv")


def test_time_outside_of_the_ranges_is_unknown(tmp_path):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(16000 * 60), 16000)
        (tmp_path / f"{name}.csv").write_text("start,end,label\n2,4.5,cry\n")
    (tmp_path / "ranges.csv").write_text("file,onset,offset\na.wav,0,10\na.wav,40,50\n")
    first, second = load_annotated(tmp_path).annotations
    assert first["label"].tolist() == ["cry", "unknown", "unknown"]
    assert first[["onset", "offset"]].to_numpy().tolist() == [[2, 4.5], [10, 40], [50, 60]]
    assert second["label"].tolist() == ["cry"]
    for rows, message in (
        ("c.wav,0,10", "lists 'c.wav', which is no recording"),
        ("a.wav,5,10", "a.wav|lies outside all ranges"),
        ("a.wav,9,5", "0 <= onset < offset"),
        ("a.wav,,5", "rows without file, onset or offset"),
        ("a.wav,x,5", "could not convert"),
    ):
        (tmp_path / "ranges.csv").write_text(f"file,onset,offset\n{rows}\n")
        with pytest.raises(ValueError, match=message):
            load_annotated(tmp_path)


@pytest.mark.real
def test_real_recordings(shared):
    data = load_annotated(shared / "data" / "soundscapes")
    assert len(data.recordings) == 8
    assert all(table["label"].eq("cry").any() for table in data.annotations)
    data = load_clips(shared / "data" / "clips.csv", group="source")
    assert len(data.recordings) == 615
    assert data.labels.sum() == 89


@pytest.mark.real
def test_real_textgrids(shared):
    data = load_annotated(shared / "data" / "textgrid", sr=8000)
    assert len(data.recordings) == len(data.annotations) == 135
    assert {label for table in data.annotations for label in table["label"]} == {"cry", "-"}
    for y, table in zip(data.recordings, data.annotations, strict=True):
        assert 0 < table["offset"].max() <= len(y) / 8000
