#!/bin/sh
# peers.sh [NAME...] - fetch the programs that the tests talk to, as Debian packages, without installing them.
#
# Each named package, and what it depends on that this machine lacks, is downloaded (apt-get download) and unpacked
# (dpkg -x) below build/peers/root; build/peers/bin/ gets a wrapper per program that sets the library and module paths.
# No service is installed or started and root is not needed. The name "micropython" stands for the WebAssembly port
# from npm, under build/peers/npm. What is there already is left alone. Without names: everything that the tests use.
# A name that cannot be had is told on stderr with the reason, which stays in build/peers/NAME.why; exit 1 then.
set -u
cd "$(dirname "$0")/.." || exit 5
peers=$PWD/build/peers
root=$peers/root
all="micropython ser2net gensio-bin socat python3-serial atftpd atftp tftpd-hpa tftp-hpa dnsmasq-base busybox iperf3 python3-rpyc
	python3-flask nginx-light wrk bpftrace libbpf-tools parallel"
micropython="@micropython/micropython-webassembly-pyscript@1.27.0"

mkdir -p "$peers/bin" "$peers/debs"
# One at a time: stages of the tests may ask at once.
exec 9>"$peers/lock"
flock 9

apt_options=
apt() { # apt-get|apt-cache ARGUMENTS...
	program=$1
	shift
	# shellcheck disable=SC2086 # a list of options
	"$program" $apt_options "$@"
}

# Package lists of our own where the machine has none, so that root is not needed.
lists=
need_lists() {
	[ -z "$lists" ] || return 0
	lists=seen
	[ -z "$(apt-cache --names-only search '^ser2net$' 2>/dev/null)" ] || return 0
	mkdir -p "$peers/apt/lists/partial" "$peers/apt/cache/archives/partial"
	apt_options="-o Dir::State::Lists=$peers/apt/lists -o Dir::Cache=$peers/apt/cache -o APT::Sandbox::User=$(id -un)"
	[ -n "$(apt apt-cache --names-only search '^ser2net$' 2>/dev/null)" ] ||
		apt apt-get -q update >"$peers/apt/update.log" 2>&1
}

why() { # NAME REASON...
	name=$1
	shift
	echo "$*" >"$peers/$name.why"
	echo "peers.sh: $name: $*" >&2
	return 1
}

# A script per program that makes it find its libraries, modules and (ser2net's gensio) plugins.
wrap() { # PACKAGE-FILE
	dpkg-deb --fsys-tarfile "$1" | tar -t | sed -n 's,^\./,,; /^\(usr\/\)\{0,1\}s\{0,1\}bin\/./p' |
		while read -r file; do
			{ [ -f "$root/$file" ] && [ -x "$root/$file" ]; } || continue
			cat >"$peers/bin/${file##*/}" <<-END
			#!/bin/sh
			LD_LIBRARY_PATH=$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
			PYTHONPATH=$modules\${PYTHONPATH:+:\$PYTHONPATH}
			GENSIO_LIBRARY_PATH=\$(echo $root/usr/libexec/*/gensio/*)
			export LD_LIBRARY_PATH PYTHONPATH GENSIO_LIBRARY_PATH
			exec $root/$file "\$@"
			END
			chmod +x "$peers/bin/${file##*/}"
		done
}

unpack() { # PACKAGE=VERSION
	(cd "$peers/debs/new" && apt apt-get -q -o APT::Sandbox::User="$(id -un)" download "$1") || return 1
	dpkg -x "$peers"/debs/new/*.deb "$root"
}

fetch_debian() { # NAME
	command -v apt-get >/dev/null 2>&1 || { why "$1" "this machine has no apt-get"; return; }
	need_lists
	# The resolver says what would be installed: exactly the package and what the machine lacks of its dependencies.
	# A package in [brackets] is there in an older version, which does.
	list=$(apt apt-get -s install --no-install-recommends "$1" 2>"$peers/$1.log" |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p')
	if [ -z "$list" ]; then
		dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii' && return 0
		why "$1" "no such package: $(tail -n 1 "$peers/$1.log")"
		return
	fi
	for package in $list; do
		[ ! -f "$peers/debs/$package" ] || continue
		rm -rf "$peers/debs/new"
		mkdir "$peers/debs/new"
		if ! unpack "$package" >>"$peers/$1.log" 2>&1; then
			why "$1" "cannot download $package: $(tail -n 1 "$peers/$1.log")"
			return
		fi
		wrap "$peers"/debs/new/*.deb
		: >"$peers/debs/$package"
	done
	rm -rf "$peers/debs/new"
}

fetch_micropython() {
	command -v node >/dev/null 2>&1 || { why micropython "this machine has no node"; return; }
	command -v npm >/dev/null 2>&1 || { why micropython "this machine has no npm"; return; }
	npm install --prefix "$peers/npm" --ignore-scripts --no-save --no-audit --no-fund "$micropython" \
		>"$peers/micropython.log" 2>&1 ||
		why micropython "npm install failed: $(grep -m 1 -i error "$peers/micropython.log")"
}

machine=$(uname -m)-linux-gnu
libraries=$root/usr/lib/$machine:$root/lib/$machine:$root/usr/lib
modules=$root/usr/lib/python3/dist-packages
cat >"$peers/bin/python3" <<END
#!/bin/sh
PYTHONPATH=$modules\${PYTHONPATH:+:\$PYTHONPATH}
export PYTHONPATH
exec /usr/bin/python3 "\$@"
END
chmod +x "$peers/bin/python3"

# shellcheck disable=SC2086 # a list of names
[ $# -gt 0 ] || set -- $all
had=0 lacking=0 reasons=
for name in "$@"; do
	if [ -f "$peers/$name.ok" ]; then
		had=$((had + 1))
		continue
	fi
	case $name in
	micropython) fetch=fetch_micropython ;;
	*) fetch="fetch_debian $name" ;;
	esac
	if $fetch; then
		rm -f "$peers/$name.why"
		: >"$peers/$name.ok"
		had=$((had + 1))
	else
		lacking=$((lacking + 1))
		reasons="${reasons}peer $name: $(cat "$peers/$name.why")
"
	fi
done
# In CI a peer that cannot be had is a failure, elsewhere a skip.
if [ -n "${STAGE_COUNT:-}" ]; then
	if [ "${CI:-}" = true ]; then
		echo "$had $lacking 0"
	else
		echo "$had 0 $lacking"
		printf '%s' "$reasons"
		lacking=0
	fi >"$STAGE_COUNT"
fi
[ "$lacking" = 0 ]
