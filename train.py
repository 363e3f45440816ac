"""Train a classifier: `python train.py phase=finetune data.root=<folder>`; see README.md and conf/."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("train")
