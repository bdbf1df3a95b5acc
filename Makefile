# Two commands do everything on a fresh machine: `make quickstart` and `make test`.

HEBB = target/release/hebb

.PHONY: quickstart test browser remote crate bids audit wheel dist cluster faults soak parity fuzz setup build schema

## Install what is missing, build, run the first study.
quickstart: build
	$(HEBB) run experiments/quickstart.toml

## Install what is missing, build, run all tests.
test: setup
	bash scripts/test.sh

## Open report pages in headless Chromium and check what a reader meets; installs the browser where it may.
browser: build
	bash scripts/browser.sh

## A shared cache on a server that speaks S3, installed into target/ and run on this machine alone; needs Python with pip.
remote: build
	bash scripts/remote.sh

## An archive against the RO-Crate profile that it claims, by the validator, installed into target/; needs Python with pip.
crate: build
	bash scripts/crate.sh

## Export studies as BIDS derivatives and let the standard's validator check them; installs it into target/.
bids: build
	bash scripts/bids.sh

## Dependencies against advisories, licences, duplicates and sources; installs cargo-audit and cargo-deny into target/.
audit:
	bash scripts/audit.sh

## The wheel, without OpenBLAS beside it, installed by pip and by uv and tried there; Debian or Ubuntu, needs Python with pip.
wheel: setup
	bash scripts/wheel.sh

## The release archive, packed twice to the same bytes; Debian or Ubuntu, needs git.
dist: setup
	bash scripts/dist.sh

## The heavy repetition of what may go wrong: runs killed a thousand times.
faults: setup
	cargo test --release --test main -- --ignored --nocapture study::faults

## A study edited two hundred times while runs are killed, started twice, robbed and starved; HEBB_SOAK_SEED replays one.
soak: setup
	cargo test --release --test main study::soak::two_hundred -- --ignored --nocapture

## A Slurm cluster on this machine that loses nodes and controllers, and runs a thousand jobs; Linux, as the superuser.
cluster: setup
	bash scripts/slurm.sh
	HEBB_REQUIRE_SLURM=1 cargo test --release --test main cluster -- --ignored --nocapture

## Untrained models of full size against the original implementations; HEBB_PYTHON names a Python with torch and transformers,
## METER a checkout of its code (without it METER is left out).
parity: setup
	bash scripts/parity.sh

SECONDS_EACH ?= 60
TARGETS ?= archive checkpoint cifti_xml lock nifti npy record safetensors study tokenizer tsv
## Bytes that nobody wrote on purpose, for the readers of strangers' files; needs cargo-fuzz, and no nightly compiler.
fuzz: setup
	python3 fuzz/seeds.py
	python3 fuzz/seeds.py unpack
	for target in $(TARGETS); do \
		cargo fuzz run $$target --sanitizer none -- -max_total_time=$(SECONDS_EACH) -rss_limit_mb=2048 -timeout=20 || exit 1; \
	done

## Find or install OpenBLAS and ONNX Runtime; says exactly what is missing if it cannot.
setup:
	@bash scripts/setup.sh

build: setup
	cargo build --release

## Write what study files and settings may say anew: the JSON Schemas for editors and the pages for readers.
schema: build
	$(HEBB) schema > schemas/experiment.schema.json
	$(HEBB) schema settings > schemas/settings.schema.json
	$(HEBB) schema --format markdown > docs/reference.md
	$(HEBB) schema settings --format markdown > docs/settings-reference.md
