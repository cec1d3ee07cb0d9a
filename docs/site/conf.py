"""Sphinx's settings for the pages that ``make docs`` builds from docs/*.md and from docstrings."""

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]  # our own extensions

project = "layerwise-dbn"
author = "layerwise-dbn"
version = release = importlib.metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "docstrings"]
nitpicky = False  # annotations name types of other packages; tests/test_docs_reference.py checks our own references

myst_heading_anchors = 3  # the anchors that GitHub gives headings
myst_links_external_new_tab = False
highlight_language = "text"  # fences without a language hold commands

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes that are fields of a dataclass are described once
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = project
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_search_summary = False  # excerpts are fetched, which browsers refuse where the pages are files
html_show_copyright = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": True}
