#!/usr/bin/env bash
# Looks at the pages of the manual and the scripts that complete commands as their readers do: pages.sh MAN COMPLETIONS, two folders,
# or without them at those that the program writes now (HEBB names it). What a machine lacks of groff, mandoc, zsh and fish is left out.
set -euo pipefail
if [ $# = 2 ]; then
    man=$1
    completions=$2
else
    hebb=${HEBB:-target/release/hebb}
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    man=$folder/man
    completions=$folder
    "$hebb" man --out "$man"
    "$hebb" completions bash >"$completions/hebb"
    "$hebb" completions zsh >"$completions/_hebb"
    "$hebb" completions fish >"$completions/hebb.fish"
fi

failed=0
lacks() { if command -v "$1" >/dev/null; then return 1; else echo "pages: no $1 here, so nothing was tried with it"; fi; }
n=0
for page in "$man"/*.1; do
    n=$((n + 1))
    # A word that is wider than a line, as an address, is no fault.
    lacks groff >/dev/null || { said=$(groff -ww -W break -man -K utf8 -T utf8 -z "$page" 2>&1); [ -z "$said" ] || { echo "$said"; failed=1; }; }
    # Pages bear the version, not a day.
    lacks mandoc >/dev/null || { said=$(mandoc -T lint -W warning "$page" | grep -v "missing date" || true); [ -z "$said" ] || { echo "$said"; failed=1; }; }
done
lacks groff || true
lacks mandoc || true
[ $n -gt 25 ] || { echo "pages: only $n pages of the manual"; exit 1; }

bash -n "$completions/hebb"
lacks zsh || zsh -n "$completions/_hebb"
lacks fish || fish --no-execute "$completions/hebb.fish"
# As bash does it when a reader presses the tabulator key.
complete_in_bash() {
    bash -c '
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        function_of_hebb=$(complete -p hebb | sed "s/.* -F \([^ ]*\) .*/\1/")
        $function_of_hebb hebb "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completions/hebb" "$@"
}
expect() { local wanted=$1; shift; complete_in_bash "$@" | grep -qxe "$wanted" || { echo "pages: bash does not complete \`$*\` to \`$wanted\`"; failed=1; }; }
expect explain hebb expl
expect --executor hebb run --exec
expect gc hebb cache g
[ $failed = 0 ] || exit 1
echo "pages: $n of the manual, completions for bash, zsh and fish"
