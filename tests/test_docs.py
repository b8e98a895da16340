"""The documentation builds without a warning, knows everything public, and its code runs."""

import doctest
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skcry

EXAMPLES = Path(__file__).parents[1] / "examples"
GUIDE = sorted((EXAMPLES / "docs" / "guide").glob("*.rst"))


def public_names():
    """Everything public, by its shortest name, without ``skcry.`` in front."""
    names, seen = [], set()
    for module in (skcry, *(getattr(skcry, name) for name in skcry.__all__ if inspect.ismodule(getattr(skcry, name)))):
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not inspect.ismodule(thing) and id(thing) not in seen:
                seen.add(id(thing))
                names.append(f"{module.__name__}.{name}".removeprefix("skcry."))
    return names


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the built pages, made in a copy that leaves no files in the repository."""
    for package in ("sphinx", "sphinx_gallery", "numpydoc", "pydata_sphinx_theme"):
        pytest.importorskip(package, reason="needs pip install 'skcry[docs]'")
    work = tmp_path_factory.mktemp("docs")
    left = shutil.ignore_patterns("auto_examples", "generated", "_build", "__pycache__")
    shutil.copytree(EXAMPLES, work / "examples", ignore=left)
    options = ["-W", "--keep-going", "-q", "-b", "html", "-D", "plot_gallery=0"]
    out = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, work / "examples" / "docs", work / "html"],
        capture_output=True,
        text=True,
        cwd=work,
    )
    assert out.returncode == 0, out.stdout + out.stderr
    return work / "html"


@pytest.mark.slow
def test_every_public_object_has_a_page(built):
    names = public_names()
    assert "CryDetector" in names
    assert "metrics.second_truth" in names
    missing = [name for name in names if not (built / "generated" / f"skcry.{name}.html").exists()]
    assert missing == []


@pytest.mark.slow
def test_every_script_of_the_gallery_has_a_page(built):
    pages = {path.stem for path in (built / "auto_examples").glob("plot_*.html")}
    assert pages == {path.stem for path in EXAMPLES.glob("plot_*.py")}


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_code_of_the_guide_runs(page):
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(page), module_relative=False, optionflags=options).failed == 0
