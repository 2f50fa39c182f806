# `make demo` shows everything; VARIATION=, GRASPS=, OUT= or DEMO_ARGS= change it. `make bench BENCH=<name>` runs one benchmark,
# `make faults KINDS=<names>` the long form of the fault suite.
VARIATION ?= checkerboard_backing
GRASPS ?= 200
OUT ?= sessions/$(shell date +%Y%m%d-%H%M%S)
DEMO_ARGS ?= --robot sim --variation $(VARIATION) --grasps $(GRASPS) --out $(OUT)
RUN := scripts/in_env.sh

.PHONY: build demo test faults lint docs bench clean

build:
	@scripts/setup.sh

demo: build
	$(RUN) robot-finetune session $(DEMO_ARGS)

test: lint
	$(RUN) python -m pytest test/core test/interfaces test/ros test/faults

faults:
	@scripts/setup.sh --dev
	$(RUN) python test/faults/suite/run.py $(KINDS)

lint:
	@scripts/setup.sh --dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

docs:
	@scripts/setup.sh --dev
	$(RUN) mkdocs build --strict
	@echo "the documentation is in build/site/index.html; its search needs a server: python3 -m http.server -d build/site"

bench: build
	$(RUN) robot-finetune benchmark $(or $(BENCH),all)

clean:
	rm -rf .venv build install log
