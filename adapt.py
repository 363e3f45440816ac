"""Settle into a new lab: `python adapt.py checkpoint=<model.ckpt> data=<labelled cells>`; see README.md."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("adapt")
