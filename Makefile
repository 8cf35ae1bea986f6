# Every target sets itself up in .venv; nothing but Python 3.11 and make is assumed.
PYTHON ?= python3.11
# The requirement for torch: override it to pick another build, e.g. TORCH="torch --index-url ...".
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test check clean

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,torch]'
	touch $@

demo: .venv/.ready
	$(BIN)/foretell demo

test: .venv/.ready
	$(BIN)/pytest

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy datasets features predictors training serving

clean:
	rm -rf .venv
