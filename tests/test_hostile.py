"""Files that mean harm, kills, and a sample of the fuzzing: see ``fuzz.py`` and ``kill_restart.py`` for all of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import make_seeds, run_case

from skcry.io import read_annotations, read_audio

HERE = Path(__file__).parent


def run(script, *arguments):
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_files_that_are_mutated_are_good(tmp_path):
    for number, (about, name, content, beside, read) in enumerate(make_seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert run_case(folder, name, content, beside, read) == ("read", None), about


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_a_sample_of_mutations():
    found = run("fuzz.py", "--quick", "--mutations", "300")
    assert found.returncode == 0, found.stdout
    assert "300 mutations" in found.stdout
    assert ": 0 failures" in found.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
def test_a_few_kills():
    found = run("kill_restart.py", "--kills", "5", "--files", "20", "--jobs", "1")
    assert found.returncode == 0, found.stderr
    assert "5 kills" in found.stdout


ENTITIES = '<!DOCTYPE {root} [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(("name", "root"), [("a.its", "ITS"), ("a.eaf", "ANNOTATION_DOCUMENT")])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTITIES + "<{root}>&b;</{root}>", "declares a document type"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><{root}>&a;</{root}>', "declares a document type"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><{root} a="&b;"/>', "an entity of its document type"),
        ("<{root}>&a;</{root}>", "no complete XML .*undefined entity"),
        ("<{root}>" + "<a>" * 200 + "</a>" * 200 + "</{root}>", "nested more than 100 deep"),
        pytest.param(
            "<{root}>" + "<a/>" * 2**20 + "</{root}>", "holds more than 1048576 elements", marks=pytest.mark.slow
        ),
        ("<{root} a='" + "x" * 2**21 + "'></{root}>", "a single tag or text of it is longer than 1048576 bytes"),
    ],
)
def test_xml_that_means_harm(tmp_path, name, root, text, message):
    path = tmp_path / name
    path.write_text(text.replace("{root}", root))
    with pytest.raises(ValueError, match=rf"{name} cannot be read as .*{message}"):
        read_annotations(path)


@pytest.mark.parametrize("references", [[("a1", "a1")], [("a1", "a2"), ("a2", "a1")]])
def test_elan_whose_annotations_refer_in_circles(tmp_path, references):
    annotations = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{one}" ANNOTATION_REF="{other}"><ANNOTATION_VALUE>x'
        "</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for one, other in references
    )
    path = tmp_path / "a.eaf"
    path.write_text(
        '<ANNOTATION_DOCUMENT xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" VERSION="3.0" '
        f'xsi:noNamespaceSchemaLocation="x"><TIER TIER_ID="a" PARENT_REF="a">{annotations}</TIER></ANNOTATION_DOCUMENT>'
    )
    with pytest.raises(ValueError, match=r"a\.eaf: annotation 'a1' refers to itself, or to others through more than"):
        read_annotations(path)
    path.write_text(path.read_text().replace('ANNOTATION_ID="a2"', 'ANNOTATION_ID="a1"'))
    if len(references) > 1:
        with pytest.raises(ValueError, match="several annotations have one ANNOTATION_ID"):
            read_annotations(path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.csv", lambda file: file.truncate(2**26 + 1), r"too many bytes.*67108865, but at most 67108864 are read"),
        ("a.csv", lambda file: file.write(b"," * 2**17), r"too many characters in line 1: 131072, but at most 65536"),
        ("a.txt", lambda file: file.write(b"0\t1\t" + b"a" * 2**17), "too many characters in line 1"),
        ("a.TextGrid", lambda file: file.write(b"\n" * 2**20), "too many lines: 1048577, but at most 524288 are read"),
        (
            "a.csv",
            lambda file: file.write(b"segment_onset,segment_offset" + b",x" * 1000 + b"\n1,2" * 20_000),
            r"too many cells \(20001 lines of 1002 columns\)",
        ),
        ("a.csv", lambda file: file.write(b"0,1,cry\n1,1e9,cry\n"), "lies more than 1e.08 s after the start"),
    ],
)
def test_text_beyond_bounds(tmp_path, name, write, message):
    with open(tmp_path / name, "wb") as file:
        write(file)
    with pytest.raises(ValueError, match=rf"{name}.*{message}") as error:
        read_annotations(tmp_path / name)
    assert len(str(error.value)) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_no_files(tmp_path):
    for name, read in [("a.csv", read_annotations), ("a.its", read_annotations), ("a.wav", read_audio)]:
        os.mkfifo(tmp_path / name)
        with pytest.raises(OSError, match="is a pipe or a device"):
            read(tmp_path / name)


def test_sound_that_has_no_header_is_no_surprise(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"\0" * 1000)
    with pytest.raises(OSError, match=r"a\.raw cannot be read as audio"):
        read_audio(tmp_path / "a.raw")
