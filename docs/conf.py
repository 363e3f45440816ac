"""The site of these pages: `make docs` builds it, and a link that leads nowhere fails it."""

project = "wbc"
author = "The wbc developers"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "contents"  # lists every page; index.md stays readable as it stands
exclude_patterns = ["images/README.md"]  # how its pictures were made, for who makes them anew
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # links to headings, as GitHub makes them
html_theme = "furo"
html_title = "wbc"
html_show_sourcelink = False
html_css_files = ["tables.css"]
html_static_path = ["static"]
