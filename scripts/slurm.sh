#!/usr/bin/env bash
# Finds or installs what the tests of the Slurm executor bring up on this machine: Slurm's daemons and clients, and munge. Starts
# and configures nothing; where the packages' own services start, they have no configuration and end.
set -euo pipefail

programs=(slurmctld slurmd munged sbatch squeue sinfo scontrol scancel)
missing() {
    local program
    for program in "${programs[@]}"; do
        PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$program" >/dev/null || echo "$program"
    done
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

if [ "$(uname -s)" != Linux ]; then
    echo "slurm: its daemons run on Linux only, and this is $(uname -s)" >&2
    exit 1
fi
if [ -n "$(missing)" ] && command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    echo "slurm: installing Slurm and munge"
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; } >"$said" 2>&1; then
        tail -n 20 "$said" >&2
    fi
fi
left=$(missing | paste -sd ' ')
if [ -n "$left" ]; then
    echo "slurm: missing: $left" >&2
    echo "slurm: install them as the superuser: apt-get install slurmctld slurmd slurm-client munge (Debian, Ubuntu), or your system's like" >&2
    exit 1
fi
echo "slurm: $(PATH="$PATH:/usr/local/sbin:/usr/sbin" slurmctld -V) is here"
