"""Make of a model a folder that needs no wbc: `python export.py checkpoint=<model.ckpt> format=onnx`."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("export")
