"""adapt.py: a head refitted to a few labelled cells of another lab."""
