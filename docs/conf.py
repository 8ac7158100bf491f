"""Sphinx configuration. Nothing here needs the network."""

from __future__ import annotations

import sys
from pathlib import Path

_DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(_DOCS.parent), str(_DOCS / "_ext")]

from aiokafka import __version__  # noqa: E402 - needs the path above

project = "aiokafka"
author = "the aiokafka contributors"
project_copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "from_the_code",
]
exclude_patterns = ["_build", "_ext"]
root_doc = "index"
language = "en"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_display_short_literal_types = True
add_module_names = False
maximum_signature_line_length = 88

html_theme = "alabaster"
html_theme_options = {
    "description": "An asyncio client for Apache Kafka in which no call waits longer than its"
    " budget",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "250px",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_show_sourcelink = False
html_copy_source = False
