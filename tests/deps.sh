#!/bin/sh
# deps.sh demo|check|all - see that what building, the demo or the tests need is on this machine; install what is not.
#
# Nothing is printed where nothing is missing. Else the packages are named, and installed with apt-get as root. Where
# that cannot be (no root, no apt-get) the one line to type is printed; exit 3.
set -eu

# package, how to see that it is there (command, header, file pattern, python module), where it is needed
table() {
	cat <<-'END'
	gcc command gcc demo
	libc6-dev header stdio.h demo
	libjansson-dev header jansson.h demo
	libcurl4-openssl-dev header curl/curl.h demo
	libmicrohttpd-dev header microhttpd.h demo
	libssl-dev header openssl/ssl.h demo
	zlib1g-dev header zlib.h demo
	nodejs command node demo
	npm command npm demo
	clang command clang check
	libclang-rt-dev file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a check
	clang-format command clang-format check
	clang-tidy command clang-tidy check
	libcmocka-dev header cmocka.h check
	shellcheck command shellcheck check
	python3-pytest module pytest check
	python3-jsonschema module jsonschema check
	strace command strace check
	libcap2-bin command setcap check
	linux-libc-dev-arm64-cross file /usr/aarch64-linux-gnu/include/asm/unistd.h check
	iproute2 command ip check
	libbpf-dev header bpf/bpf.h check
	libelf-dev header libelf.h check
	bpftool command bpftool check
	mandoc command mandoc check
	scdoc command scdoc check
	socat command socat check
	curl command curl check
	chromium command chromium check
	END
	[ ! -f bpf/deps ] || cat bpf/deps
}

present() { # KIND WHAT
	case $1 in
	command) PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null 2>&1 ;;
	header) for d in /usr/include /usr/include/*-linux-gnu /usr/local/include; do
			[ ! -e "$d/$2" ] || return 0
		done
		return 1 ;;
	file) for f in $2; do
			[ ! -e "$f" ] || return 0
		done
		return 1 ;;
	module) [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import $2" >/dev/null 2>&1 ;;
	*) echo "deps.sh: unknown kind $1" >&2; exit 5 ;;
	esac
}

missing() { # demo|check|all
	table | while read -r package kind what need; do
		case $1/$need in
		demo/check) continue ;;
		esac
		# shellcheck disable=SC2086 # a file pattern is meant to be expanded
		present "$kind" "$what" || printf ' %s' "$package"
	done
}

cd "$(dirname "$0")/.."
case ${1:-all} in
demo | check | all) ;;
*) echo "usage: deps.sh demo|check|all" >&2; exit 2 ;;
esac

list=$(missing "${1:-all}")
[ -n "$list" ] || exit 0
echo "needed and not on this machine:$list"
line="apt-get update && apt-get install -y --no-install-recommends$list"
if ! command -v apt-get >/dev/null 2>&1; then
	echo "mpbench: this machine has no apt-get. On Debian 12 the line is: $line" >&2
	exit 3
fi
if [ "$(id -u)" != 0 ]; then
	echo "mpbench: installing needs root. Type: sudo sh -c '$line'" >&2
	exit 3
fi
echo "installing them with apt-get; this takes a minute or two"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of names
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends $list; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "mpbench: apt-get failed. The line was: $line" >&2
	exit 3
fi
left=$(missing "${1:-all}")
[ -z "$left" ] || { echo "mpbench: still missing after the installation:$left" >&2; exit 3; }
