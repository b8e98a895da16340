"""Every file of a folder is a recording, is named, or is no sound."""

import warnings

import numpy as np
import pytest
import soundfile

from skcry.datasets.folders import AUDIO_SUFFIXES
from skcry.files.recordings import list_recordings


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(1000), 16000)
    return folder


@pytest.mark.parametrize("suffix", [*AUDIO_SUFFIXES, ".3GA", ".Mov"])
def test_formats_of_recorders_and_phones_are_recordings(folder, suffix):
    (folder / f"b{suffix}").write_bytes(b"?")
    assert list_recordings(folder)[1] == ["a.wav", f"b{suffix}"]


@pytest.mark.parametrize(
    "head", [b"RIFF\0\0\0\0WAVE", b"#!AMR\n", b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3", b"OggS\0", b"\xff\xfb\x90\0"]
)
@pytest.mark.parametrize("name", ["b", "b.dat"])
def test_other_files_are_recordings_by_their_content(folder, name, head):
    (folder / name).write_bytes(head + bytes(100))
    assert list_recordings(folder)[1] == ["a.wav", name]


def test_files_that_are_left_out_are_named(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "all.zip").write_bytes(b"PK\3\4" + bytes(100))
    (folder / "b.DVF").write_bytes(bytes(range(256)))
    (folder / "gone.dat").symlink_to(folder / "nothing")
    with pytest.warns(UserWarning, match=r"3 files in .*: 'b\.DVF', 'gone\.dat', 'sub/all\.zip'") as caught:
        assert list_recordings(folder)[1] == ["a.wav"]
    assert len(caught) == 1


def test_what_lies_beside_recordings_is_not_named(folder):
    (folder / "a.TextGrid").write_bytes("näh".encode("utf-16"))
    (folder / "notes").write_text("fine")
    (folder / "log.x").write_text("fine")
    (folder / "photo.xyz").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (folder / "photo.heic").write_bytes(b"\0\0\0\x24ftypheic" + bytes(100))
    (folder / "detector.joblib").write_bytes(b"\x80\x04" + bytes(100))
    (folder / "empty").touch()
    (folder / ".DS_Store").write_bytes(bytes(100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list_recordings(folder)[1] == ["a.wav"]


def test_links_to_folders_are_named(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    soundfile.write(tmp_path / "elsewhere" / "far.wav", np.zeros(1000), 16000)
    (folder / "far").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    out = tmp_path / "results"
    out.mkdir()
    (folder / "results").symlink_to(out)
    with pytest.warns(UserWarning, match="links to folders, which are not searched: 'far', 'loop'") as caught:
        assert list_recordings(folder, out)[1] == ["a.wav"]
    assert len(caught) == 1
    assert list_recordings(folder / "far")[1] == ["far.wav"]
