#!/usr/bin/env bash
# Brings a cluster up and down on loopback: Redis, etcd, routes and servers as real processes.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: scripts/cluster.sh COMMAND

  up          start Redis, etcd, 2 routes and 3 servers (IM_ROUTES, IM_SERVERS to change)
  status      list the processes and their addresses
  add         start one more server
  drain NAME  stop a server gracefully: its clients move (SIGTERM)
  kill NAME   end a process at once (SIGKILL)
  down        stop everything; data stays
  wipe        stop everything and delete the data

Binaries come from target/release (IM_BIN_DIR to change); processes, logs and data live in
.cluster (IM_CLUSTER_DIR to change). Redis and etcd are Debian's redis-server and etcd-server.
EOF
}

root=$(cd "$(dirname "$0")/.." && pwd)
dir=${IM_CLUSTER_DIR:-$root/.cluster}
bin=${IM_BIN_DIR:-$root/target/release}

die() { echo "cluster.sh: $*" >&2; exit 1; }

need() { command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"; }

# A port that nobody listens on. Somebody may take it before its process does; then that process
# fails with a clear message in its log.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

is_running() { [ -f "$dir/run/$1.pid" ] && kill -0 "$(cat "$dir/run/$1.pid")" 2>/dev/null; }

# launch NAME COMMAND...: in the background, logging to a file.
launch() {
    local name=$1; shift
    setsid nohup "$@" >"$dir/run/$name.out" 2>"$dir/log/$name.log" </dev/null &
    echo $! >"$dir/run/$name.pid"
}

# wait_for NAME TEST...: until the test succeeds, at most 20 s, or the process has ended.
wait_for() {
    local name=$1 tries=200; shift
    until "$@" 2>/dev/null; do
        is_running "$name" || { cat "$dir/log/$name.log" >&2; die "$name did not start"; }
        [ $((tries -= 1)) -gt 0 ] || die "$name is not ready after 20 s, see $dir/log/$name.log"
        sleep 0.1
    done
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
is_ready() { grep -q ready "$dir/run/$1.out"; }

# Each start_* leaves a process alone that runs already, so `up` also repairs a cluster.
start_redis() {
    is_running redis && return
    [ -f "$dir/run/redis.port" ] || free_port >"$dir/run/redis.port"
    mkdir -p "$dir/redis"
    launch redis redis-server --port "$(cat "$dir/run/redis.port")" --bind 127.0.0.1 \
        --dir "$dir/redis" --appendonly yes --appendfsync always --save ''
    wait_for redis answers "$(cat "$dir/run/redis.port")"
}

start_etcd() {
    is_running etcd && return
    [ -f "$dir/run/etcd.port" ] || free_port >"$dir/run/etcd.port"
    local client peer
    client=http://127.0.0.1:$(cat "$dir/run/etcd.port")
    peer=http://127.0.0.1:$(free_port)
    launch etcd etcd --name one --data-dir "$dir/etcd" \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "one=$peer"
    wait_for etcd answers "$(cat "$dir/run/etcd.port")"
}

common_env() {
    IM_REDIS=redis://127.0.0.1:$(cat "$dir/run/redis.port")
    IM_ETCD=http://127.0.0.1:$(cat "$dir/run/etcd.port")
    IM_SECRET_FILE=$dir/secret
    export IM_REDIS IM_ETCD IM_SECRET_FILE
}

start_route() {
    is_running "$1" && return
    launch "$1" "$bin/im-route" --listen 127.0.0.1:0
    wait_for "$1" is_ready "$1"
}

start_server() {
    is_running "$1" && return
    launch "$1" "$bin/im-server" --listen 127.0.0.1:0 --http-listen 127.0.0.1:0
    wait_for "$1" is_ready "$1"
}

up() {
    need redis-server redis-server
    need etcd etcd-server
    [ -x "$bin/im-route" ] && [ -x "$bin/im-server" ] ||
        die "no binaries in $bin: cargo build --release --workspace"
    mkdir -p "$dir/run" "$dir/log"
    [ -s "$dir/secret" ] || (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$dir/secret")
    start_redis
    start_etcd
    common_env
    local i
    for i in $(seq "${IM_ROUTES:-2}"); do start_route "route-$i"; done
    for i in $(seq "${IM_SERVERS:-3}"); do start_server "server-$i"; done
    status
}

add() {
    common_env
    local i=1
    while [ -e "$dir/run/server-$i.pid" ]; do i=$((i + 1)); done
    start_server "server-$i"
    cat "$dir/run/server-$i.out"
}

status() {
    local file name
    for file in "$dir"/run/*.pid; do
        [ -e "$file" ] || die "no cluster in $dir"
        name=$(basename "$file" .pid)
        if is_running "$name"; then
            printf '%-10s pid %-7s %s\n' "$name" "$(cat "$file")" "$(grep -h ready "$dir/run/$name.out" || true)"
        else
            printf '%-10s ended\n' "$name"
        fi
    done
    local routes=""
    for file in "$dir"/run/route-*.pid; do
        name=$(basename "$file" .pid)
        is_running "$name" && routes+=" --route http://$(sed -n 's/.*ready: http //p' "$dir/run/$name.out")"
    done
    [ -z "$routes" ] || printf '\nChat: %s%s --user NAME\n' "${bin#"$root"/}/im" "$routes"
}

# stop NAME SIGNAL: by pid, and wait until it has ended.
stop() {
    local name=$1 signal=$2 pid tries=600
    is_running "$name" || { rm -f "$dir/run/$name.pid"; return 0; }
    pid=$(cat "$dir/run/$name.pid")
    kill "-$signal" "$pid"
    while kill -0 "$pid" 2>/dev/null; do
        [ $((tries -= 1)) -gt 0 ] || die "$name does not end (pid $pid)"
        sleep 0.1
    done
    rm -f "$dir/run/$name.pid"
}

# known NAME: whether such a process runs.
known() {
    is_running "$1" || die "no process ${1:-(no name given)} runs; 'scripts/cluster.sh status' lists them"
}

down() {
    local kind file
    for kind in server route etcd redis; do
        for file in "$dir"/run/"$kind"*.pid; do
            [ -e "$file" ] && stop "$(basename "$file" .pid)" TERM
        done
    done
    true
}

case ${1:-} in
    up) up ;;
    status) status ;;
    add) add ;;
    drain) known "${2:-}" && stop "$2" TERM ;;
    kill) known "${2:-}" && stop "$2" KILL ;;
    down) down ;;
    wipe) down; rm -rf "$dir" ;;
    -h | --help | help) usage ;;
    *) usage >&2; exit 2 ;;
esac
