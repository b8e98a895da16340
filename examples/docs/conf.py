"""Sphinx settings: ``python -m sphinx -W --keep-going -b html examples/docs OUT``, from the root of the repository.

``-D plot_gallery=0`` leaves the gallery's scripts unexecuted. Links into the documentation of other libraries need the
network: set SKCRY_DOCS_INTERSPHINX=1 to have them.
"""

import os
import sys
from pathlib import Path

import matplotlib

import skcry

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parent))  # for gallery_order

project = "skcry"
author = "The skcry developers"
copyright = author
version = release = skcry.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
default_role = "literal"
modindex_common_prefix = ["skcry."]
autodoc_typehints = "none"  # docstrings say more
nitpicky = True  # references to what is documented here must resolve
nitpick_ignore_regex = [("py:.*", r"(imblearn|joblib|librosa|matplotlib|numpy|pandas|sklearn|skorch|torch)\..*")]

if os.environ.get("SKCRY_DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "..",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^quickstart\.py$",
    "within_subsection_order": "gallery_order.GalleryOrder",
    "doc_module": ("skcry",),
    "reference_url": {"skcry": None},
    "backreferences_dir": "generated/backreferences",
    "inspect_global_variables": False,
    "show_memory": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "parallel": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skcry"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": True, "navbar_end": ["theme-switcher"], "secondary_sidebar_items": ["page-toc"]}
