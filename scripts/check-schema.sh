#!/usr/bin/env bash
# Asks the engine behind TOML editors (Taplo) about the schemas: every study of experiments/ must pass, and of the studies in
# tests/specs/invalid it must refuse those, and only those, that are wrong in form; the same of the settings in tests/specs/settings.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v taplo >/dev/null; then
    taplo=(taplo)
elif command -v npx >/dev/null; then
    taplo=(npx --yes @taplo/cli@0.7.0)
else
    echo "neither taplo nor npx is here: install Node.js, or taplo itself" >&2
    exit 2
fi

# Names of the files that Taplo refuses by a schema.
refused() {
    local schema="file://$PWD/schemas/$1.schema.json"
    shift
    NO_COLOR=1 "${taplo[@]}" check --schema "$schema" "$@" 2>&1 | sed 's/\x1b\[[0-9;]*m//g' \
        | sed -n 's/.*invalid file.*path="\(.*\)"$/\1/p' | xargs -r -n1 basename -s .toml | sort -u
}

studies=$(refused experiment experiments/*.toml tests/specs/valid/*.toml)
[ -z "$studies" ] || { echo "refused, but are studies:" $studies; exit 1; }
diff <(sort tests/specs/wrong-in-form.txt) <(refused experiment tests/specs/invalid/*.toml) \
    || { echo "< wrong in form to Hebb, > to Taplo"; exit 1; }
settings=$(refused settings tests/specs/settings/valid/*.toml)
[ -z "$settings" ] || { echo "refused, but are settings:" $settings; exit 1; }
diff <(sort tests/specs/settings/wrong-in-form.txt) <(refused settings tests/specs/settings/invalid/*.toml) \
    || { echo "< wrong in form to Hebb, > to Taplo"; exit 1; }
echo "Taplo agrees about every study and all settings"
