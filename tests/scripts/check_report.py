"""Parse report pages as strictly as an HTML5 parser can, and say what is wrong.

    cargo test --release report && python tests/scripts/check_report.py target/tmp/report/*.html

Needs html5lib (1.1 was used). The tests themselves need no Python: this is a second opinion, independent of the
reader of tags in `tests/report/markup.rs`.
"""

import sys
from collections import Counter
from pathlib import Path

import html5lib

# Elements that may hold what they fetch from elsewhere.
FETCHING = {"src", "href", "srcset", "poster", "data", "action"}


def faults(path: Path) -> list[str]:
    parser = html5lib.HTMLParser(strict=False, namespaceHTMLElements=False)
    tree = parser.parse(path.read_text(encoding="utf-8"))
    found = [f"line {line[0]}: {code} {data}" for line, code, data in parser.errors]
    ids = Counter(element.get("id") for element in tree.iter() if element.get("id"))
    found += [f"id `{name}` used {n} times" for name, n in ids.items() if n > 1]
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        tag = element.tag.rpartition("}")[2]
        if tag == "script":
            found.append("a script")
        if tag == "img" and not element.get("alt"):
            found.append("a picture without `alt`")
        if tag == "svg" and not (element.get("aria-hidden") or element.get("aria-label")):
            found.append("a figure without a name")
        for name in FETCHING & set(element.keys()):
            if not element.get(name).startswith(("#", "data:image/png;base64,")):
                found.append(f"`{tag}` fetches {element.get(name)[:60]}")
    return found


def main() -> int:
    bad = 0
    for name in sys.argv[1:]:
        found = faults(Path(name))
        bad += bool(found)
        print(f"{name}: {'; '.join(found[:10]) if found else 'sound'}")
    return 1 if bad or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    raise SystemExit(main())
