"""Writes the licences of all that the program is made of, as their makers give them: licences.py FILE [NAME=TEXT]...

Crates that are linked into it for this system, found with `cargo metadata` (no macros, nothing that only builds or tests), libraries
of the page, and what NAME=TEXT adds: a library that was linked, with a file of its licence. Equal texts are printed once.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
TEXT = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)
# Code of others inside a crate has its own texts further below.
DEPTH = 3


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def linked_crates():
    host = re.search(r"^host: (.*)$", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout, re.MULTILINE)[1]
    said = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--filter-platform", host))
    packages = {package["id"]: package for package in said["packages"]}
    nodes = {node["id"]: node for node in said["resolve"]["nodes"]}
    own = said["resolve"]["root"]
    seen, open_ids = set(), [own]
    while open_ids:
        name = open_ids.pop()
        if name in seen or any("proc-macro" in target["kind"] for target in packages[name]["targets"]):
            continue
        seen.add(name)
        for dependency in nodes[name]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                open_ids.append(dependency["pkg"])
    return sorted((packages[name] for name in seen - {own}), key=lambda package: (package["name"], package["version"]))


def texts_of(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = {folder / package["license_file"]} if package["license_file"] else set()
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if len(inside.parts) <= DEPTH and path.is_file() and TEXT.match(path.name) and path.suffix not in (".rs", ".c", ".h", ".py"):
            files.add(path)
    return [path.read_text(errors="replace").strip() for path in sorted(files)]


def mit_of(authors):
    """Our own copy of the text for somebody else's code, where a crate says `MIT` and brings none."""
    return re.sub(r"^Copyright .*$", f"Copyright (c) {authors}", (ROOT / "LICENSE-MIT").read_text().strip(), count=1, flags=re.MULTILINE)


def main(out, more):
    heads, holders = [], {}

    def add(name, text):
        # Lines are broken differently from crate to crate.
        holders.setdefault(" ".join(text.split()), (text, []))[1].append(name)

    rust = {"name": "Rust's standard library", "version": "", "license": "MIT OR Apache-2.0", "authors": ["the Rust Project's contributors"]}
    for package in [*linked_crates(), rust]:
        name = f"{package['name']} {package['version']}".strip()
        expression = package["license"] or "a licence of its own"
        authors = ", ".join(re.sub(r" *<.*?>", "", author) for author in package["authors"])
        heads.append(f"{name}: {expression}" + (f"; {authors}" if authors else ""))
        texts = texts_of(package) if package is not rust else []
        if not texts and "MIT" in re.split(r" OR |/", expression):
            texts = [mit_of(authors or f"the authors of {package['name']}")]
        if not texts:
            sys.exit(f"licences.py: {name} ({expression}) has no text of its licence beside its Cargo.toml; expected one, or MIT among its licences")
        for text in texts:
            add(name, text)
    named = [(f"{path.stem}, in the page", path) for path in sorted((ROOT / "src/report/vendored").glob("*.LICENSE"))]
    named += [(name, pathlib.Path(path)) for name, path in (pair.split("=", 1) for pair in more)]
    for name, path in named:
        heads.append(f"{name}: see below")
        add(name, path.read_text(errors="replace").strip())
    lines = ["What this program contains beside its own code, and under which licences.", "", *heads]
    for text, names in holders.values():
        lines += ["", "=" * 100, *dict.fromkeys(names), "", text]
    pathlib.Path(out).write_text("\n".join(lines) + "\n")
    print(f"licences: {len(heads)} parts, {len(holders)} texts")


if len(sys.argv) < 2:
    sys.exit(__doc__)
main(sys.argv[1], sys.argv[2:])
