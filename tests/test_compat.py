"""Private names of other libraries are used in ``skcry/_compat.py`` only."""

import ast
from pathlib import Path

import pytest

import skcry

PACKAGE = Path(skcry.__file__).parent
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "_compat.py"
}
# Modules without an underscore that their libraries do not document.
UNDOCUMENTED = ("joblib.externals", "sklearn.externals", "sklearn.utils.fixes")
# Hooks and attributes of scikit-learn, torch and functools; a class of skcry could define them like its own.
_OF_ESTIMATORS = "_get_params_html _html_repr _init_callback_context _metadata_request _skl_callbacks"
_OF_PAGES = "_doc_link_module _doc_link_template _doc_link_url_param_generator _get_fitted_attr_html _repr_html_inner"
HOOKS = {"__wrapped__", "_modules", "_sk_visual_block_", *_OF_ESTIMATORS.split(), *_OF_PAGES.split()}
DOCUMENTED = {"_getframe"}  # of sys


def is_private(name):
    return name in HOOKS or (name.startswith("_") and not name.endswith("__"))


def defined(tree):
    """Names of functions, classes, variables and attributes of ``self`` that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


OWN = {name for tree in TREES.values() for name in defined(tree)} - HOOKS


def private_uses(tree):
    """Line and name of each private name of another library that a module uses."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0):
            start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            paths = [start + alias.name for alias in node.names]
            names = [path for path in paths if path.startswith(UNDOCUMENTED) or any(map(is_private, path.split(".")))]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            names = [node.attr]
        elif isinstance(node, (ast.FunctionDef, ast.Name, ast.Constant)):
            name = getattr(node, "name", getattr(node, "id", getattr(node, "value", None)))
            names = [name] if isinstance(name, str) and name in HOOKS else []
        yield from ((node.lineno, name) for name in names if name not in OWN | DOCUMENTED)


@pytest.mark.parametrize("path", TREES)
def test_no_private_names_of_other_libraries(path):
    assert list(private_uses(TREES[path])) == []


FOREIGN = """\
import sklearn.utils._param_validation
from sklearn.utils._param_validation import Interval
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing as take
from joblib.externals.loky import set_loky_pickler
import joblib.externals.loky
model._fit_transform_one(X, y)
function.__wrapped__
class A: _doc_link_module = 'skcry'
def _sk_visual_block_(self): ...
def fit(self): self._skl_callbacks = []
getattr(estimator, '_metadata_request')"""
OWN_OR_PUBLIC = ["from __future__ import annotations", "from ._compat import task", "X._repr_html_()", "self.__dict__"]


@pytest.mark.parametrize("code", [*FOREIGN.splitlines(), *OWN_OR_PUBLIC])
def test_only_private_names_of_other_libraries_are_found(code):
    assert len(list(private_uses(ast.parse(code)))) == (code not in OWN_OR_PUBLIC)
