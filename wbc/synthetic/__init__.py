"""Drawn cells."""
