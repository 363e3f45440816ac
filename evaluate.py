"""Measure a model: `python evaluate.py checkpoint=<model.ckpt> data=<labelled folder>`; see README.md."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("evaluate")
