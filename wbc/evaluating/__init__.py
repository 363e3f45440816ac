"""evaluate.py: models measured on labelled sets."""
