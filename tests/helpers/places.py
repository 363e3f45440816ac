"""Where the project and the data beside it lie."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
KERAS = ROOT / "tests" / "keras"  # read off Keras 3.15
DATA = Path(os.environ.get("WBC_DATA", ROOT.parent / "shared" / "data"))  # real cells; tests skip without
BUILT_FROM = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "wbc", "conf", "hydra_plugins")  # a wheel
