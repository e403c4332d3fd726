# make setup        the environment in .venv: everything that the app and the command line need
# make app          the dashboard, on PORT (8501)
# make test         all tests
# make test-fast    the tests without a browser, a server or much work
# make lint         style, types, and which package may import which
# make screenshots  the pictures in docs/images, from the running dashboard
# make clean        remove the environment and all caches

PORT ?= 8501
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder
unexport PYTHONDONTWRITEBYTECODE # else every process of the tests compiles them once more

.PHONY: setup dev browser postgres app test test-fast lint screenshots clean

setup: .venv/.installed

dev: .venv/.installed-dev

.venv/.installed: requirements.txt
	@.ci/venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@

browser: dev
	@.ci/browser

postgres: dev
	@.ci/postgres

app: setup
	$(BIN)/python -m streamlit run app.py --server.port $(PORT) --server.showEmailPrompt false

test: dev browser postgres
	@$(PYTEST) --durations=25

test-fast: dev
	@$(PYTEST) -m "not browser and not cluster and not postgres and not slow"

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

screenshots: dev browser
	$(BIN)/python -m tests.screenshots

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
