# Everything from a fresh checkout: `make demo`, `make test`. `make help` lists the rest.
VENV ?= .venv
RANKS ?= 2

python := $(VENV)/bin/python
stamp := $(VENV)/.fe2-installed
results := results/plasticity

# One thread for each rank: the ranks are the parallelism.
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test test-all lint format types docs figures verification clean distclean
.DEFAULT_GOAL := help

help:
	@echo 'make setup      create $(VENV) and install fe2 with DOLFINx and the tools (PYTHON=... chooses the Python)'
	@echo 'make demo       run the main demonstration on $(RANKS) ranks (RANKS=... changes it)'
	@echo 'make test       run the tests but the slow ones, two at a time (ARGS=... is handed to pytest)'
	@echo 'make test-all   run all tests, the slow ones and the demonstrations too; before a release'
	@echo 'make lint       check format and lint with ruff'
	@echo 'make format     format and repair with ruff'
	@echo 'make types      check types with mypy'
	@echo 'make docs       build the documentation: build/docs/html/index.html'
	@echo 'make verification  run what compares with references and write docs/verification.md'
	@echo 'make figures    run the demonstrations and keep their figures for the documentation (minutes; IMAGE=...)'
	@echo 'make clean      remove caches and build leftovers, never results'
	@echo 'make distclean  also remove $(VENV)'

setup: $(stamp)
	@echo 'Ready: $(VENV)'

$(stamp): pyproject.toml setup.py constraints.txt
	@scripts/setup $(VENV)
	@touch $@

demo: $(stamp)
	@$(VENV)/bin/mpiexec -n $(RANKS) $(python) demos/demo_plasticity.py
	@echo
	@echo 'Results: $(results)'
	@find $(results) -name '*.png' -exec echo 'Picture: {}' ';'

test: $(stamp)
	@$(python) -m pytest -n 2 --dist worksteal -m 'not slow and not faults' $(ARGS)

test-all: $(stamp)
	@FE2_FUZZ=1200 $(python) -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(stamp)
	@$(python) -m ruff format --check .
	@$(python) -m ruff check .

format: $(stamp)
	@$(python) -m ruff format .
	@$(python) -m ruff check --fix .

types: $(stamp)
	@$(python) -m mypy

docs: $(stamp)
	@$(python) -m sphinx -q -W --keep-going -b html -d build/docs/doctrees docs build/docs/html
	@echo 'build/docs/html/index.html'

verification: $(stamp)
	@mkdir -p build && rm -f build/verification.jsonl
	@$(python) -m pytest -q --verification build/verification.jsonl
	@$(python) scripts/verification_table.py build/verification.jsonl

# The tomography needs an image of 100 x 100 x 100 voxels; without one its figure stays as it is.
figures: $(stamp)
	@for name in bimetal consolidation elasticity heat hierarchical hot_composite hyperelasticity plasticity porous_flow swelling_particle; do \
	  $(python) demos/demo_$$name.py --output build/figures/$$name || exit; done
	@if [ -n '$(IMAGE)' ]; then $(python) demos/demo_tomography.py $(IMAGE) --output build/figures/tomography; fi
	@$(python) scripts/keep_figures.py build/figures

clean:
	rm -rf build docs/api docs/demos dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
