"""Answer what programs and people send: `python serve.py checkpoint=<run>/model.ckpt`."""

from wbc.__main__ import run_script

if __name__ == "__main__":
    run_script("serve")
