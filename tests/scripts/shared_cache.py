"""A shared cache on a server that speaks S3: given by one cache, taken by another, killed in the middle of both.

Needs boto3 and a server at AWS_ENDPOINT_URL, with AWS_* as hebb itself takes them. Usage: shared_cache.py HEBB FOLDER
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

HEBB, FOLDER = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
BUCKET, PREFIX = "hebb-test", "lab/cache"
PART_BYTES = 8 << 20  # as in src/share/remote/mod.rs

# A model of some dozen MiB, so that its weights go up and come down in parts.
STUDY = f"""[study]
name = "tiny"

[runs]
train = ["1", "2"]
test = ["3"]

[stimuli.generate]
seed = 1
images_per_run = 12
image_size_px = 32

[models.clip]
modules = ["vision"]

[models.clip.random]
seed = 2
projection_dim = 32
vision = {{ layers = 3, width = 512, heads = 2, mlp_width = 2048, image_size = 32, patch_size = 16 }}
text = {{ layers = 2, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }}

[units]
kind = "query-key"

[bold.simulate]
subjects = ["sub-01", "sub-02"]
repetition_time_s = 1.5

[bold.simulate.brain]
shape = [10, 12, 9]
voxel_size_mm = 12.0
networks.visual = {{ module = "vision", layers = [0] }}

[patterns.dictionary]
n_patterns = 4
penalty = 0.15

[encoding.ridge]
alphas = [1, 10, 100]

[cache]
remote = "s3://{BUCKET}/{PREFIX}"
mode = "read-write"
"""

s3 = boto3.client("s3")
s3.create_bucket(Bucket=BUCKET)


def objects():
    """Every object under the prefix, with its size."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def machine(name, study=STUDY):
    """A folder with the study, a home and no cache, as on another machine."""
    folder = FOLDER / name
    (folder / "home").mkdir(parents=True)
    (folder / "study.toml").write_text(study)
    return folder


def start(folder):
    home = folder / "home"
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "HEBB_SITE_SETTINGS": str(home / "site.toml")}
    environment.pop("HEBB_SETTINGS", None)
    log = open(folder / "log", "a")
    return subprocess.Popen(
        [HEBB, "run", "study.toml", "--trust"], cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )


def run(folder):
    """Runs the study to its end; gives what was printed."""
    before = (folder / "log").read_text() if (folder / "log").exists() else ""
    code = start(folder).wait()
    told = (folder / "log").read_text()[len(before) :]
    print(f"--- {folder.name}\n" + "".join(line + "\n" for line in told.splitlines() if not line.startswith("[")))
    assert code == 0, told
    return told


def kill_when(folder, is_time):
    """Kills a run in the middle; `is_time` says when."""
    process = start(folder)
    while not is_time():
        assert process.poll() is None, "the run ended before it could be killed:\n" + (folder / "log").read_text()
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def owed(folder):
    return [path for path in (folder / "cache/owed").glob("*/*")]


def counts(told):
    line = next(line for line in told.splitlines() if line.startswith("tiny: "))
    return {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", line)}


# Killed while it gives: what it owes is given by the next run, and what was there stays as it was.
first = machine("first")
kill_when(first, lambda: len(objects()) >= 12)
early = objects()
assert owed(first), "a killed run owes nothing"
told = run(first)
assert "gave " in told and not owed(first), told
there = objects()
assert all(there[name] == size for name, size in early.items())
largest = max(there.values())
assert largest > 2 * PART_BYTES, f"no file goes up in parts: {largest} bytes"
records = [name for name in there if "/records/" in name]
print(f"{len(early)} objects when it was killed, {len(there)} in the end, {len(records)} records, largest {largest} bytes")

# Another cache: the ends are fetched, nothing is computed.
told = run(machine("second"))
assert counts(told)["computed"] == 0 and counts(told)["fetched"] > 0, told
assert "warning" not in told, told

# Another study that needs the weights: killed while they come, it goes on with what has arrived.
third = machine("third", STUDY.replace('kind = "query-key"', 'kind = "mlp"'))


def half_arrived():
    sizes = []
    for path in (third / "cache/partial").glob("*-arriving/*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            pass
    return any(0 < size < largest and size >= PART_BYTES // 2 for size in sizes)


kill_when(third, half_arrived)
arrived = sum(path.stat().st_size for path in (third / "cache/partial").glob("*-arriving/*"))
assert 0 < arrived, arrived
told = run(third)
assert counts(told)["computed"] > 0 and counts(told)["fetched"] > 0, told
assert not list((third / "cache/partial").iterdir()), "something stayed behind"
print(f"{arrived} bytes had arrived when it was killed")

# One byte of every table of scores differs on the server: told, refused, computed here, and given anew.
for name in objects():
    if "/artifacts/" in name and name.endswith("scores.tsv"):
        body = bytearray(s3.get_object(Bucket=BUCKET, Key=name)["Body"].read())
        body[len(body) // 2] ^= 1
        s3.put_object(Bucket=BUCKET, Key=name, Body=bytes(body), ContentType="application/octet-stream")
told = run(machine("fourth"))
assert "is not to be believed" in told and counts(told)["computed"] > 0, told

told = run(machine("fifth"))
assert "warning" not in told and counts(told)["computed"] == 0, told

# Every cache is whole, byte for byte.
for name in ["first", "second", "third", "fourth", "fifth"]:
    subprocess.run([HEBB, "cache", "verify"], cwd=FOLDER / name, check=True)
print("a shared cache on an S3 server: all held")
