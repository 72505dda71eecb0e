# The whole line as make targets. Every target makes the environment first if it is missing.
#   make demo                       the starter taxonomy, start to end, without a teacher
#   make generate && make train     then: make evaluate, make report
#   make generate TEACHER=http://localhost:8000/v1 TEACHER_MODEL=NAME
#   make train MODEL=ibm-granite/granite-3.3-2b-instruct

PYTHON ?= python3
VENV ?= .venv
RUN ?= default
TAXONOMY ?= taxonomy
# Where torch comes from when the default index would bring the wrong build (a CPU or CUDA index).
TORCH_INDEX ?=
TEACHER ?=
TEACHER_MODEL ?=
MODEL ?=
RECIPE ?=
# FLOW: one or more flows, by name or path. BUDGET: such as 500calls or 5.00. DRY=1: send nothing, say what it would take.
FLOW ?=
BUDGET ?=
DRY ?=
# YES=1 agrees to redo a run whose recipe changed.
YES ?=

BIN := $(VENV)/bin
ILK := $(BIN)/ilk
READY := $(VENV)/.ready
RECIPE_OPTION := $(if $(RECIPE),--recipe "$(RECIPE)")
YES_OPTION := $(if $(YES),--yes)
FLOW_OPTIONS := $(foreach flow,$(FLOW),--flow "$(flow)") $(foreach limit,$(BUDGET),--budget "$(limit)") $(if $(DRY),--dry-run)
TEACHER_OPTIONS := $(if $(TEACHER),--teacher "$(TEACHER)") $(if $(TEACHER_MODEL),--teacher-model "$(TEACHER_MODEL)")

.DEFAULT_GOAL := help
.PHONY: help setup demo check generate train evaluate report test lint bench base-model clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the environment, nothing else

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: Python 3.11 or newer is needed, $(PYTHON) is not. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv. Debian, Ubuntu: apt install python3-venv. Or name another: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install -c constraints.txt --index-url "$(TORCH_INDEX)" torch)
	$(BIN)/python -m pip install -c constraints.txt -e ".[train,test]"
	@touch $@

demo: $(READY)  ## generate, train, evaluate and report on the starter taxonomy (run "demo")
	$(ILK) all --run demo --yes

check: $(READY)  ## validate the leaves of the taxonomy
	$(ILK) check "$(TAXONOMY)"

generate: $(READY)  ## plan, ask, parse, filter, write the dataset of run $(RUN)
	$(ILK) generate --run "$(RUN)" --taxonomy "$(TAXONOMY)" $(RECIPE_OPTION) $(TEACHER_OPTIONS) $(FLOW_OPTIONS) $(YES_OPTION)

train: $(READY)  ## LoRA on the run's dataset
	$(ILK) train --run "$(RUN)" $(if $(MODEL),--model "$(MODEL)") $(RECIPE_OPTION) $(YES_OPTION)

evaluate: $(READY)  ## base and checkpoint side by side, leaf by leaf
	$(ILK) evaluate --run "$(RUN)" $(RECIPE_OPTION)

report: $(READY)  ## one HTML page of the run
	$(ILK) report --run "$(RUN)"

test: $(READY)  ## the tests, the end-to-end run included
	$(BIN)/python -m pytest

lint: $(READY)  ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## the figures the project claims
	$(BIN)/python -m benchmarks

base-model: $(READY)  ## make the tiny base model and its tasks anew (an hour on two cores)
	$(BIN)/python training/base/tasks.py
	$(BIN)/python training/base/make.py --compile

clean:  ## remove the environment and caches; runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
