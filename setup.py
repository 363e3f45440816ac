"""What pyproject.toml cannot say: conf/ at the top travels in the wheel as wbc/conf/.

Users edit and read conf/ in a checkout, so it stays at the top; pyproject.toml could map it to wbc.conf only
with every package listed by hand.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["wbc*", "hydra_plugins"]), "wbc.conf"],
    package_dir={"wbc.conf": "conf"},
)
