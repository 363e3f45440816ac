"""Attributes of cells in words: read from a table, learnt from features, and linked to the class."""
