# Sourced by start and vault-raft, which set dir.

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# free_port prints a port nobody listens on, below the range the kernel gives to
# outgoing connections.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# background NAME COMMAND…: runs it with its output in dir/logs/NAME.
background() {
  local name=$1
  shift
  "$@" >"$dir/logs/$name" 2>&1 </dev/null &
  echo "$! $name" >>"$dir/pids"
}

# wait_until NAME COMMAND…: waits until COMMAND succeeds; NAME must go on running.
wait_until() {
  local name=$1 pid try
  shift
  pid=$(awk -v name="$name" '$2 == name {print $1}' "$dir/pids" | tail -1)
  for ((try = 0; try < 300; try++)); do
    "$@" >/dev/null 2>&1 && return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "start: $name did not come up; its output:" >&2
  tail -20 "$dir/logs/$name" >&2
  return 1
}

# wait_http NAME URL: waits until URL answers with 200.
wait_http() { wait_until "$1" http_ok "$2"; }

http_ok() {
  local rest=${1#http://} status
  exec 3<>"/dev/tcp/${rest%%:*}/$(sed 's/^[^:]*:\([0-9]*\).*/\1/' <<<"$rest")" || return 1
  printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${rest#*/}" "${rest%%/*}" >&3
  read -r -t 5 status <&3 || return 1
  exec 3<&-
  [[ $status == *" 200 "* ]]
}

# make_certificates DIR: a certificate authority of DIR's own (ca.pem) and a server's
# key and certificate for this machine (server.key, server.pem).
make_certificates() (
  cd "$1"
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl req -x509 -new -key ca.key -days 30 -subj '/CN=Medvault test CA' \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out ca.pem
  openssl ecparam -name prime256v1 -genkey -noout -out server.key
  openssl req -new -key server.key -subj '/CN=localhost' -out server.csr
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out server.pem \
    -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n')
)

export_env() { echo "$1='$2'" >>"$dir/env"; }
