#!/bin/sh
# demo.sh - benchmark one real MicroPython three ways: on a pty, through a raw TCP port and through RFC 2217.
#
# The device is MicroPython's WebAssembly port under node, the server Debian's ser2net over terminals that socat makes (one
# a port, as ser2net releases a device some time after its client has gone); all of it is unpacked under build/peers and ends with this script. DEMO=builtin, or a machine where the peers cannot be
# had, shows mpbench's own device instead, which evaluates nothing, and says so. The result is kept in demo.json.
# shellcheck disable=SC2317 # the functions are called by a trap and by wait_for
set -eu
cd "$(dirname "$0")/.."
mpbench=build/mpbench
dir=build/demo
PATH=$PATH:/usr/sbin:/sbin
rm -rf "$dir"
mkdir -p "$dir"

pids=
end() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null || continue
		# ser2net may take its time; nothing of it is needed any more.
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			kill -0 "$pid" 2>/dev/null || continue 2
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || :
	done
}
trap end EXIT
trap 'exit 130' INT TERM HUP

program() { # NAME: the path of a program, ours first
	if [ -x "build/peers/bin/$1" ]; then
		echo "build/peers/bin/$1"
	else
		command -v "$1"
	fi
}

# Up to ten seconds for a condition; the servers tell nobody when they are ready.
wait_for() { # COMMAND...
	for _ in $(seq 100); do
		if "$@"; then
			return 0
		fi
		sleep 0.1
	done
	return 1
}

listening() { # PORT...
	for port in "$@"; do
		grep -qi "^ *[0-9]*: 0100007F:$(printf %04X "$port") [0-9A-F:]* 0A " /proc/net/tcp || return 1
	done
}

free_port() { # FROM: the first that nobody listens on
	port=$1
	while grep -qi ":$(printf %04X "$port") [0-9A-F:]* 0A " /proc/net/tcp; do
		port=$((port + 1))
	done
	echo "$port"
}

builtin() { # REASON
	echo "The demonstration runs on mpbench's builtin device, which evaluates nothing: $1."
	set -- builtin:
	bench "$@"
}

bench() { # TARGET...
	echo
	printf '$ mpbench bench-repl -o demo.json'
	printf " '%s'" "$@"
	echo
	status=0
	"$mpbench" bench-repl -o demo.json "$@" || status=$?
	echo
	"$mpbench" validate demo.json
	[ "$status" = 0 ] || echo "mpbench ended with status $status" >&2
	exit "$status"
}

[ "${DEMO:-}" != builtin ] || builtin "DEMO=builtin asks for it"
echo "fetching MicroPython, ser2net and socat (under build/peers; a minute at most)"
tests/peers.sh micropython ser2net socat 2>"$dir/peers.log" || builtin "$(head -n 1 "$dir/peers.log")"

device="node $PWD/tests/peers/micropython.mjs"
for name in raw rfc; do
	"$(program socat)" "PTY,link=$PWD/$dir/$name,rawer" "EXEC:$device,pty,rawer" 2>"$dir/socat.log" &
	pids="$! $pids"
	wait_for test -e "$dir/$name" || builtin "socat made no terminal: $(tail -n 1 "$dir/socat.log")"
done

raw=$(free_port 2218)
rfc=$(free_port $((raw + 1)))
cat >"$dir/ser2net.yaml" <<END
connection: &raw
  accepter: tcp(nodelay),127.0.0.1,$raw
  connector: serialdev,$PWD/$dir/raw,115200n81,local
  options:
    chardelay: false
connection: &rfc
  accepter: telnet(rfc2217),tcp(nodelay),127.0.0.1,$rfc
  connector: serialdev,$PWD/$dir/rfc,115200n81,local
  options:
    chardelay: false
END
"$(program ser2net)" -n -u -c "$dir/ser2net.yaml" >"$dir/ser2net.log" 2>&1 </dev/null &
pids="$! $pids"
wait_for listening "$raw" "$rfc" || builtin "ser2net does not listen: $(tail -n 1 "$dir/ser2net.log")"

bench "pty=exec:$device" "tcp=socket://127.0.0.1:$raw" "rfc2217=rfc2217://127.0.0.1:$rfc"
