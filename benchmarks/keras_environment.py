"""The environment for plain Keras: what the benchmarks compare with runs in it.

TensorFlow caps packages that wbc wants newer, so the two do not share one.
"""

from __future__ import annotations

import platform
from pathlib import Path

from environments import environment_python

FOLDER = Path(__file__).resolve().parents[1] / ".venv-keras"
TENSORFLOW = "2.21.0"
KERAS = "3.15.1"


def keras_python(folder: Path = FOLDER) -> Path:
    """The environment's interpreter; made on the first call.  Raises EnvironmentUnavailableError."""
    return environment_python(folder, requirements())


def requirements() -> list[str]:
    """What is installed: the tested releases, without GPU libraries where such a build exists."""
    has_cpu_build = (platform.system(), platform.machine()) == ("Linux", "x86_64")
    package = "tensorflow-cpu" if has_cpu_build else "tensorflow"
    return [f"{package}=={TENSORFLOW}", f"keras=={KERAS}"]
