"""Sort a folder of cells: `python predict.py checkpoint=<model.ckpt> images=<folder> output=<folder>`."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("predict")
