"""Pages of HTML and the looks of figures."""
