# make demo, make test: all the set-up there is. Everything is installed into .venv.
PYTHON ?= python3
ENV ?= cpu
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHON

.PHONY: help env demo real-data compare-frames test nightly bench-data lint format clean

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

test: $(VENV)/.dev  ## the test suite
	@pytest -m "not nightly"

nightly: $(VENV)/.dev  ## the long variants as well
	@pytest

bench-data: $(VENV)/.dev  ## the data chain's speed on one core, beside the predecessor's (fails where a limit is missed)
	@NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/benchmarks/data_chain.py

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
