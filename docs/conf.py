"""How Sphinx builds the documentation: Markdown pages, and a reference made of the docstrings."""

import optdriver

project = "optdriver"
author = "The optdriver developers"
copyright = f"2026, {author}"
version = release = optdriver.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
default_role = "code"

# Types such as "ndarray, shape (n,)" are prose: their letters are not names to be linked.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"optdriver {version}"
html_static_path = ["_static"]
