"""Small tools that know nothing of cells: files, text tables, the machine."""
