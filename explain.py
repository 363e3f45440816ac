"""Show why a model decides: `python explain.py checkpoint=<model.ckpt> images=<folder>`; see README.md."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("explain")
