# Everything happens in a virtual environment of the checkout's own, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
# One thread a trial: two on a busy machine cost many times what they gain.
export OMP_NUM_THREADS = 1

.PHONY: demo test test-slow test-all fuzz test-ray lint docs docs-serve bench clean help

help:            ## This list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)  ## Train ROMMEO-AC on Max of Two Quadratics and draw what happened
	$(BIN)/rommeo train max_of_two_quadratics/rommeo_ac --num-samples 4 --name demo-$$(date +%Y%m%d-%H%M%S)

# In two processes, each with a Ray of its own; the tests of a file stay together, and unit tests
# come first.
WORKERS ?= 2
IN_PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)  ## Run the tests, in some four minutes; make test WORKERS=4 where there are cores
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow"

test-slow: $(INSTALLED)  ## Run what make test leaves out: learning, whole matrices, the wheel, ...
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow

test-all: test test-slow  ## Run all tests, and try 300 command lines of each command
	$(MAKE) fuzz EXAMPLES=300

fuzz: $(INSTALLED)  ## Try 5000 command lines of each command: make fuzz EXAMPLES=200
	ROMMEO_FUZZ_EXAMPLES=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest \
		tests/unit/test_command_lines.py

# Ray pins some packages itself, gymnasium among them: of our constraints torch alone holds here. It
# comes last, since it may be a version that the package does not ask for: nightly is Ray's latest.
WHEELS := https://s3-us-west-2.amazonaws.com/ray-wheels/latest
CPYTHON = $(shell $(PYTHON) -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
NIGHTLY = ray[rllib] @ $(WHEELS)/ray-3.0.0.dev0-$(CPYTHON)-$(CPYTHON)-manylinux2014_x86_64.whl
test-ray:        ## Run all tests with another Ray: make test-ray RAY=2.58.0
	test -n "$(RAY)" || { echo "Which Ray? For example: make test-ray RAY=2.58.0"; exit 2; }
	test -x .venv-ray-$(RAY)/bin/python || $(PYTHON) -m venv .venv-ray-$(RAY)
	grep '^torch==' constraints.txt > .venv-ray-$(RAY)/constraints.txt
	.venv-ray-$(RAY)/bin/python -m pip install --quiet -c .venv-ray-$(RAY)/constraints.txt -e '.[dev]'
	.venv-ray-$(RAY)/bin/python -m pip install --quiet -c .venv-ray-$(RAY)/constraints.txt \
		'$(if $(filter nightly,$(RAY)),$(NIGHTLY),ray[rllib]==$(RAY))'
	.venv-ray-$(RAY)/bin/python -m pytest $(IN_PARALLEL)

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

docs: $(DOCS_INSTALLED)  ## Build the documentation; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: $(DOCS_INSTALLED)  ## Show the documentation at localhost:8000, built again when it changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

bench: $(INSTALLED)  ## Measure, and write docs/performance.md
	$(BIN)/python benchmarks/run_all.py

lint: $(INSTALLED)  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:           ## Remove the environment and caches
	rm -rf $(VENV) .venv-ray-* build dist site *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
