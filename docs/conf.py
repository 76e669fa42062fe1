"""The site: `make docs` writes it to build/docs, without a network and with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import fe2  # first: it orders the libraries that autodoc loads

project = "fe2"
author = "The fe2 developers"
release = fe2.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "demo_pages",
    "mathml",
    "navigation",
]
html_theme = "furo"
html_title = "fe2"
html_math_renderer = "mathml"
exclude_patterns = ["extensions"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_use_rtype = False
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
