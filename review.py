"""Look through predictions and put them right: `python review.py predictions=<folder of wbc predict>`."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("review")
