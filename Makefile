# `make help` lists what there is to make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# What `make demo` passes on, such as DEMO="--json" or DEMO="--blocks 40 --keep".
DEMO   ?=
VENV   := .venv
BIN    := $(VENV)/bin

# What `make image` passes on, such as IMAGE="--version 1.2.0 --keys /safe/update-keys".
IMAGE  ?=
# What `make image` builds for: pi, jetson-nano, or "pi jetson-nano" for both of one root file system.
BOARD  ?= pi
# How many boxes `make qemu-ward` boots.
N      ?= 2

# How long `make fuzz` tries each decoder.
FUZZ_SECONDS ?= 20

.PHONY: help demo test lint fuzz image qemu qemu-ward qemu-test qemu-test-full models models-test lock clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "  make %-14s %s\n", $$1, $$2}'

# A stamp per lock file: the environment is made again only when what it is made from changed.
NATIVE := $(wildcard edgenode/native/*.c edgenode/native/*.h)

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "edgenode needs Python 3.11 (tflite-runtime has no wheel above it);" \
	       "say which one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; \
	  sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || { \
	  echo "Python.h is missing, with which the miner's kernel is compiled: install python3.11-dev"; \
	  exit 1; }
	@command -v gcc >/dev/null || { \
	  echo "gcc is missing, which compiles the miner's kernel: install gcc"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "could not make a virtual environment: install python3.11-venv"; exit 1; }
	@touch $@

$(VENV)/demo.stamp: $(VENV)/python.stamp requirements/demo.lock pyproject.toml $(NATIVE)
	@echo "installing what edgenode needs into $(VENV): 300 MB, some minutes the first time" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp requirements/test.lock
	@echo "installing what the tests need into $(VENV): 600 MB more" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.lock
	@touch $@

var/recordings.npz: $(VENV)/demo.stamp requirements/recordings.lock datasets/recordings.py
	$(BIN)/python -m datasets.recordings --out $@

demo: $(VENV)/demo.stamp var/recordings.npz ## four boxes sense, train, mine and agree (under 6 minutes)
	@$(BIN)/python -m demo $(DEMO)

lint: $(VENV)/test.stamp ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/test.stamp .venv-ansible/stamp var/recordings.npz lint ## all tests but those that boot the image
	$(ANSIBLE) $(BIN)/pytest -m 'not qemu' --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Atheris reports what inputs reach; the C extension lies where .venv has built it.
.venv-fuzz/stamp: requirements/fuzz.lock
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

fuzz: .venv-fuzz/stamp $(VENV)/demo.stamp ## FUZZ_SECONDS=20 of fuzzing for each decoder; findings come to var/fuzz
	@.venv-fuzz/bin/python -m fuzz --seconds $(FUZZ_SECONDS)

# Ansible makes the image of Debian's root file system, and provisions boxes; no node has it.
.venv-ansible/stamp: requirements/ansible.lock
	@echo "installing Ansible into .venv-ansible: 600 MB" >&2
	@$(PYTHON) -m venv .venv-ansible
	@.venv-ansible/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

ANSIBLE := PATH="$(CURDIR)/.venv-ansible/bin:$$PATH"

image: $(VENV)/demo.stamp .venv-ansible/stamp ## BOARD=pi|jetson-nano: what is flashed to a card, update bundle, SBOM (root)
	@$(ANSIBLE) $(BIN)/python -m image $(addprefix --board ,$(BOARD)) $(IMAGE)

qemu: $(VENV)/demo.stamp ## boot the image and log in
	@$(BIN)/python -m qemu boot --image var/image/edgenode-pi.img

qemu-ward: $(VENV)/demo.stamp var/recordings.npz ## N=2 boxes on one virtual network: they sense, train, mine and agree
	@$(BIN)/python -m qemu ward --image var/image/edgenode-pi.img --boxes $(N)

# The image's own tests need what it was made from, so they build it. What `make qemu-test` runs:
QEMU_TESTS ?= tests/box
QEMU_TEST := $(ANSIBLE) $(BIN)/pytest -m qemu

qemu-test: image $(VENV)/test.stamp var/recordings.npz ## build the image; boot, update, break, cut off boxes in QEMU (35 min, root)
	$(QEMU_TEST) $(QEMU_TESTS)

qemu-test-full: image $(VENV)/test.stamp var/recordings.npz ## the same with all counts, and the harness' own tests (hours, root)
	EDGENODE_EXTENT=full $(QEMU_TEST) tests/box tests/qemu

# TensorFlow only writes the training graphs; no node and no demo needs it.
.venv-models/stamp: requirements/models.lock
	$(PYTHON) -m venv .venv-models
	.venv-models/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

models: .venv-models/stamp ## write the training graphs and genesis parameters anew (TensorFlow)
	.venv-models/bin/python -m models.build

models-test: .venv-models/stamp ## rebuild the graphs bit for bit, compare with TensorFlow's autodiff
	.venv-models/bin/python -m models.build --check
	.venv-models/bin/python -m pytest -c models/tests/pytest.ini models/tests

lock: ## pin every dependency anew, with hashes
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	for set in demo test; do \
	  $(VENV)-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	    -c requirements/constraints.txt --extra $$set pyproject.toml -o requirements/$$set.lock; \
	done
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  requirements/models.in -o requirements/models.lock
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  -c requirements/demo.lock requirements/fuzz.in -o requirements/fuzz.lock
	$(VENV)-lock/bin/uv pip compile --quiet --no-deps --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  requirements/recordings.in -o requirements/recordings.lock
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  requirements/ansible.in -o requirements/ansible.lock
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	  --python-platform aarch64-manylinux_2_34 \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  -c requirements/constraints.txt pyproject.toml -o requirements/node.lock

clean: ## remove the environment and everything built, but not the keys that sign updates
	rm -rf $(VENV) .venv-ansible .venv-fuzz build *.egg-info
	[ ! -d var ] || find var -mindepth 1 -maxdepth 1 ! -name update-keys -exec rm -rf {} +
	find edgenode -name '*.so' -delete
