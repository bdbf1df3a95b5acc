#!/usr/bin/env bash
# A shared cache on a real server that speaks S3: moto's, on this machine alone, at a free port, ended by its process id.
# With --install it only installs what it needs. HEBB names the program; MOTO an environment that has moto[server] and boto3, which is made here otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

hebb=${HEBB:-target/release/hebb}
moto=${MOTO:-target/tmp/moto}
bash scripts/environment.sh "$moto" moto_server "moto[server]==5.2.5" "boto3==1.44.8"

[ "${1:-}" != --install ] || exit 0
folder=$(mktemp -d)
port=$("$moto/bin/python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$moto/bin/moto_server" -H 127.0.0.1 -p "$port" >"$folder/server.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ALLOW_HTTP=true AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
    AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1
unset HEBB_CACHE AWS_PROFILE AWS_SESSION_TOKEN
until "$moto/bin/python" -c "import urllib.request; urllib.request.urlopen('$AWS_ENDPOINT_URL/moto-api/')" 2>/dev/null; do
    kill -0 $server || { cat "$folder/server.log"; exit 1; }
    sleep 0.1
done
"$moto/bin/python" tests/scripts/shared_cache.py "$hebb" "$folder"
