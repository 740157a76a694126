"""How Sphinx builds the documentation: Markdown pages, and a reference made of the docstrings."""

import optdriver

project = "optdriver"
author = "The optdriver developers"
copyright = f"2026, {author}"
version = release = optdriver.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx-mathjax-offline",  # formulas without a foreign host
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3

default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say it in words, shapes included
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"optdriver {version}"
html_static_path = ["_static"]
html_css_files = ["optdriver.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
