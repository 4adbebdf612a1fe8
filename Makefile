# The two commands: `make notebooks` and `make test`. Both make the environment first, in .venv.

# TensorFlow has no wheels for Python 3.14 yet: take the first interpreter from 3.11 to 3.13.
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell $(python) -c \
	'import sys; (3, 11) <= sys.version_info < (3, 14) and print("$(python)")' 2>/dev/null)))
DATA ?= mnist
STUDY ?=
# The address of the repository, https://github.com/OWNER/NAME: the site then has buttons for Colab, Binder and the source.
REPOSITORY ?=
PORT ?= 8000
BIN := .venv/bin

# TensorFlow logs what it did not find, a GPU for instance, at every start.
export TF_CPP_MIN_LOG_LEVEL ?= 3

# The unit tests of what computes with Keras: its models, their losses and steps, and what measures them.
BACKEND_TESTS := $(patsubst %,tests/test_%.py,activity autoencoder backend checkpoint classifier codes conditional \
	data_streams gradients interruption likelihood losses networks parallel perceptual sampling semi_supervised tied vae)

.PHONY: help notebooks test test-site test-backends test-jax test-torch test-seeds notebooks-seeds lab full study bench readme \
	site site-models explorer-picture serve lint format clean

help:
	@echo "make notebooks              run every notebook on the bundled digits, two at once"
	@echo "make test                   run the unit tests, and check every output of the notebooks"
	@echo "make test-site              test the explorer and the built site in Debian's chromium"
	@echo "make test-backends          run the unit tests of the models on JAX and PyTorch, each in an environment of its own"
	@echo "make lab                    open the notebooks in JupyterLab"
	@echo "make full DATA=mnist        run the notebooks on full data, into full/mnist; or fashion_mnist, or a folder"
	@echo "make study STUDY=NAME       run a study, or go on with it; make study alone names them all"
	@echo "                            WORKERS=2 processes; FOLDERS='--folder mnist=path': where data lie"
	@echo "make bench                  time trainings beside those of other books; PARTS=\"speed growth target\", FOLDER=mnist"
	@echo "make readme                 draw the README's tables and the study's figure from results/"
	@echo "make site                   build the web site into build/site; REPOSITORY=https://... sets its buttons"
	@echo "make serve                  serve it on http://127.0.0.1:8000; PORT=8000"
	@echo "make site-models            train the networks of the explorer that are missing; FOLDERS as for a study"
	@echo "make explorer-picture       draw the README's picture of the explorer from the built site"
	@echo "make test-seeds             run the unit tests under SEEDS=20 other seeds, each in another order"
	@echo "make notebooks-seeds        check the claims of the notebooks under 8 other seeds"
	@echo "make lint                   check the style of code and notebooks; make format mends it"

notebooks: .venv/installed
	$(BIN)/python scripts/run_notebooks.py

test: .venv/installed
	$(BIN)/python -m pytest --nbval --ignore tests/site --quiet --no-header --numprocesses 2 --dist loadfile

test-site: .venv/browser
	$(BIN)/python -m pytest tests/site --quiet --no-header

test-backends: test-jax test-torch

test-jax test-torch: test-%: .venv-%/installed
	KERAS_BACKEND=$* .venv-$*/bin/python -m pytest $(BACKEND_TESTS) --quiet --no-header --numprocesses 2 --dist loadfile

test-seeds: .venv/installed
	@for seed in $$(seq $(or $(SEEDS),20)); do \
		VAE_KERAS_TEST_SEED=$$seed $(BIN)/python -m pytest tests --ignore tests/site --quiet --no-header --numprocesses 2 --dist loadfile \
			> .venv/seed.log 2>&1 || { cat .venv/seed.log; echo "Seed $$seed failed."; exit 1; }; \
		echo "seed $$seed: $$(grep passed .venv/seed.log)"; \
	done

notebooks-seeds: .venv/installed
	$(BIN)/python scripts/run_notebooks.py --seeds $(or $(SEEDS),8)

lab: .venv/installed
	$(BIN)/jupyter lab --notebook-dir=notebooks

full: .venv/installed
	$(BIN)/python scripts/run_notebooks.py --data "$(DATA)" --out "full/$(notdir $(abspath $(DATA)))"

study: .venv/installed
	$(BIN)/python -m vae_keras.studies $(or $(STUDY),--help) $(if $(WORKERS),--workers $(WORKERS)) $(FOLDERS)

bench: .venv/installed
	$(BIN)/python -m benchmarks $(PARTS) $(if $(FOLDER),--folder "$(FOLDER)")

readme: .venv/installed
	$(BIN)/python scripts/fill_readme.py

site: .venv/site
	$(BIN)/python scripts/build_site.py --repository "$(REPOSITORY)"

site-models: .venv/installed
	$(BIN)/python scripts/site_models.py $(FOLDERS)

explorer-picture: .venv/browser
	$(BIN)/python scripts/draw_explorer.py

serve:
	@test -d build/site || { echo "There is no build/site: call make site first."; exit 1; }
	$(or $(wildcard $(BIN)/python),python3) -m http.server --bind 127.0.0.1 --directory build/site $(PORT)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-jax .venv-torch full build

.venv/installed: pyproject.toml constraints.txt
ifeq ($(strip $(PYTHON)),)
	$(error Python 3.11, 3.12 or 3.13 is needed and none is on the PATH: name one with make PYTHON=/path/to/python)
endif
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[notebooks,explorer,test,dask]' --constraint constraints.txt
	touch $@

# What drives a browser; the browser itself is Debian's: apt-get install --no-install-recommends chromium
.venv/browser: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]' --constraint constraints.txt
	touch $@

# Sphinx and its themes, which only the site needs.
.venv/site: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[site]' --constraint constraints.txt
	touch $@

# Of PyTorch pip takes the build with CUDA on Linux, 5.5 GB: where there is no GPU, another index has a smaller one, and
# PIP_EXTRA_INDEX_URL or pip's configuration names it.
.venv-jax/installed .venv-torch/installed: .venv-%/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,$*]' --constraint constraints.txt
	touch $@
