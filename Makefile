# make demo, make test: all the set-up there is. Everything is installed into .venv.
PYTHON ?= python3
ENV ?= cpu
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHON

.PHONY: help env demo real-data compare-frames validate-simulation test nightly bench-data bench-simulation lint format clean

help:             ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 18

env: $(VENV)/.$(ENV)  ## create .venv from the lock (ENV=cpu, gpu or workflow; PYTHON=interpreter)

$(VENV)/.%: envs/%.txt envs/install.sh pyproject.toml
	@bash envs/install.sh $*
	@touch $@

$(VENV)/.dev: $(VENV)/.$(ENV)

demo: $(VENV)/.$(ENV)  ## simulate, train, evaluate and point, in minutes on two cores
	@snakemake --profile local
	@snpoint registry

real-data: $(VENV)/.$(ENV)  ## the real files through the chain and the demo network (needs the files: README)
	@snakemake --profile local real_data

compare-frames: $(VENV)/.$(ENV)  ## what the canonical frame is worth: 30,000 training events each (13 minutes)
	@snakemake --profile local $(foreach v,v0_30k v0_raw_30k,results/electron_direction/$(v)/evaluate/metrics.json)
	@snpoint compare electron_direction/v0_raw_30k electron_direction/v0_30k --at-least 20

VERSION ?= v1_25k
PREDICTIONS = $(foreach d,$(1),results/electron_direction/$(VERSION)/predict/$(d)/predictions.npz)

validate-simulation: $(VENV)/.$(ENV)  ## the simulation beside Geant4, published tables and the real files (hours on two cores; pages in docs/validation)
	@snakemake --profile local $(call PREDICTIONS,fdhd_es fdhd_cc twins_es twins_cc)
	@snpoint validate transport --events 20000 -o docs/validation
	@snpoint validate events -o docs/validation
	@snpoint validate backgrounds --windows 100 -o docs/validation
	@snpoint validate real --real results/samples/fdhd_es results/samples/fdhd_cc --twins results/samples/twins_es results/samples/twins_cc -o docs/validation
	@snpoint validate tune --real results/samples/fdhd_es results/samples/fdhd_cc --twins twins_es twins_cc -o docs/validation
	@snpoint validate errors --real $(call PREDICTIONS,fdhd_es fdhd_cc) --twins $(call PREDICTIONS,twins_es twins_cc) -o docs/validation

test: $(VENV)/.dev  ## the test suite
	@pytest -m "not nightly"

nightly: $(VENV)/.dev  ## the long variants as well
	@pytest

bench-data: $(VENV)/.dev  ## the data chain's speed on one core, beside the predecessor's (fails where a limit is missed)
	@NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/benchmarks/data_chain.py

bench-simulation: $(VENV)/.dev  ## events per second on one core, and memory (fails where a limit is missed)
	@NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/benchmarks/simulate.py

lint: $(VENV)/.dev  ## formatting, types, layers, workflow
	@ruff check . && ruff format --check .
	@snakefmt --check Snakefile workflow/rules
	@lint-imports
	@mypy
	@python tests/workflow/lint.py

format: $(VENV)/.dev  ## apply the formatting
	@ruff check --fix . ; ruff format .
	@snakefmt Snakefile workflow/rules

clean:            ## remove results and Snakemake's memory (asks first)
	@[ ! -e .snakemake/templated/jobs.jsonl ] || python -m snpoint.submissions
	@printf 'remove results/ and .snakemake/? [y/N] ' && read answer && [ "$$answer" = y ]
	@find results -mindepth 1 ! -name .gitkeep -delete; rm -rf .snakemake
