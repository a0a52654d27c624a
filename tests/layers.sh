#!/bin/sh
# layers.sh [DIR] - check the rules that hold the layers apart, in DIR (default: the checkout). docs/architecture.md says
# why they are what they are.
#
# One line per violation, FILE:LINE: RULE; exit status 1 when there is one. Comments and string literals do not count.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
text=$(mktemp -d)
trap 'rm -rf "$text"' EXIT
violations=$text/violations
: >"$violations"

# layer, and what its files may include as "layer/header.h" (a whole layer, or one header).
may_include() {
	case $1 in
	base) echo base version-gen.h ;;
	stats) echo base stats ;;
	proto) echo base proto ;;
	io) echo base io proto/rfc2217.h ;;
	peer) echo base stats proto io peer ;;
	measure) echo base stats io measure bpf ;;
	result) echo base stats measure result ;;
	explain) echo base stats result explain ;;
	picture) echo base stats measure result picture ;;
	cmd) echo base stats proto io peer measure result explain picture cmd bpf ;;
	esac
}

# header of a library (a shell pattern), and the files that may include it. Where several .c files match, "one" lets only
# one of them do it.
library_rules() {
	cat <<-'END'
	jansson.h any src/result/* src/proto/iperf3.c
	curl/* one src/peer/*.c
	microhttpd.h one src/peer/*.c
	openssl/* one src/peer/*.c
	zlib.h any src/proto/rpyc.c
	bpf/* any bpf/*
	linux/bpf.h any bpf/*
	END
}

# function, and the files that may call it in spite of the ban, separated by commas ("-": none). The reason is the comment
# above.
banned() {
	cat <<-'END'
	# unchecked numbers: base/num parses
	atoi -
	atol -
	atoll -
	atof -
	strtol -
	strtoul bpf/tracer.c
	strtoll src/base/num.c
	strtoull src/base/num.c
	strtod src/base/num.c
	# unbounded or hidden state
	strcpy -
	strcat -
	stpcpy -
	sprintf -
	vsprintf -
	gets -
	strtok -
	alloca -
	rand -
	srand -
	localtime -
	gmtime -
	# wall clock and sleeps: loops wait for events, times come from base/clock
	gettimeofday -
	usleep -
	sleep -
	# (the engine pauses between runs where --settle asks for it; a session gathers datagrams while it has nothing to answer)
	nanosleep src/measure/engine.c,src/peer/tftp-session.c
	# file descriptors without CLOEXEC: accept4, pipe2, epoll_create1, F_DUPFD_CLOEXEC, O_CLOEXEC
	accept -
	pipe -
	dup -
	epoll_create -
	creat -
	inotify_init -
	# all waiting is in io, threads are made by io/thread
	epoll_create1 src/io/loop.c
	epoll_wait src/io/loop.c
	pthread_create src/io/thread.c
	# children are made by io/spawn, never by a shell
	system -
	popen -
	fork src/io/spawn.c
	vfork src/io/spawn.c
	execv src/io/spawn.c
	execve src/io/spawn.c
	execvp src/io/spawn.c
	execvpe src/io/spawn.c
	posix_spawn src/io/spawn.c
	posix_spawnp src/io/spawn.c
	# handlers are installed by sigaction; the device child only sets dispositions
	signal src/peer/repl-device.c
	END
}

# Only cmd/ (and the program in bpf/) prints, exits or reads the environment. Exceptions: the forked child before exec
# must _exit (io/spawn), the description of the host and the commit of the measured project come from
# CI variables (measure/host, result/environment).
only_cmd() {
	cat <<-'END'
	printf -
	vprintf -
	puts -
	putchar -
	perror -
	exit -
	quick_exit -
	abort -
	_exit src/io/spawn.c
	_Exit src/io/spawn.c
	err -
	errx -
	warn -
	warnx -
	getenv src/measure/host.c,src/result/environment.c
	secure_getenv src/measure/host.c,src/result/environment.c
	setenv -
	putenv -
	END
}

say() { # FILE:LINE RULE...
	where=$1
	shift
	echo "$where: $*" >>"$violations"
}

matches() { # WORD PATTERN...
	word=$1
	shift
	for pattern in "$@"; do
		# shellcheck disable=SC2254 # a pattern is meant
		case $word in
		$pattern) return 0 ;;
		esac
	done
	return 1
}

check_includes() { # LAYER FILE
	grep -n '^ *# *include *"' "$2" | sed 's/^\([0-9]*\):[^"]*"\([^"]*\)".*/\1 \2/' |
		while read -r line header; do
			case $header in
			*/*) from=${header%%/*} ;;
			version-gen.h) from=version-gen.h ;;
			*) from=$1; [ -e "$(dirname "$2")/$header" ] || from="nowhere ($header)" ;;
			esac
			ok=
			for allowed in $(may_include "$1"); do
				case $allowed in
				"$from" | "$header") ok=yes ;;
				esac
			done
			[ -n "$ok" ] || say "$2:$line" "layer $1 may not include $header"
			# cmd files know each other's headers only through shared ones.
			case $header in
			*.c) say "$2:$line" "a .c file is included" ;;
			esac
		done
	grep -n '^ *# *include *<' "$2" | sed 's/^\([0-9]*\):[^<]*<\([^>]*\)>.*/\1 \2/' >"$text/angles"
	library_rules | while read -r pattern how files; do
		while read -r line header; do
			matches "$header" "$pattern" || continue
			# shellcheck disable=SC2086 # a list of patterns
			(set -f; matches "$2" $files) || say "$2:$line" "<$header> belongs to $files alone"
			[ "$how" = any ] || echo "$2" >>"$text/$(echo "$pattern" | tr -c 'a-z\n' _)"
		done <"$text/angles"
	done
}

# The code without comments and string literals, lines kept.
bare() { # FILE
	awk '
	{
		line = $0; out = ""
		while (line != "") {
			if (inside) {
				at = index(line, "*/")
				if (!at) { line = ""; break }
				line = substr(line, at + 2); inside = 0
			} else if (match(line, /\/\*|\/\/|"|\047/)) {
				mark = substr(line, RSTART, RLENGTH)
				out = out substr(line, 1, RSTART - 1)
				line = substr(line, RSTART + RLENGTH)
				if (mark == "/*") inside = 1
				else if (mark == "//") line = ""
				else {
					if (mark == "\"") match(line, /^([^"\\]|\\.)*"/)
					else match(line, /^([^\047\\]|\\.)*\047/)
					if (RSTART) line = substr(line, RLENGTH + 1)
					out = out mark mark
				}
			} else { out = out line; line = "" }
		}
		print out
	}' "$1"
}

# One pass of awk over the bare text of one file against a list of "function exceptions".
check_calls() { # FILE LIST RULE
	awk -v file="$1" -v rule="$3" '
	NR == FNR {
		if ($1 == "#" || NF < 2) next
		n = split($2, except, ",")
		for (i = 1; i <= n; i++)
			if (except[i] == file) next
		bad[$1] = 1
		next
	}
	{
		line = $0
		# A member or a longer name is not the function; a definition or a pointer to it does not pass either.
		while (match(line, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
			before = RSTART > 1 ? substr(line, RSTART - 1, 1) : ""
			before2 = RSTART > 2 ? substr(line, RSTART - 2, 2) : ""
			word = substr(line, RSTART, RLENGTH)
			sub(/[ \t]*\($/, "", word)
			if ((word in bad) && before != "." && before2 != "->")
				print file ":" FNR ": " word "() " rule
			line = substr(line, RSTART + RLENGTH)
		}
	}' "$2" "$text/bare" >>"$violations"
}

check_words() { # FILE
	awk -v file="$1" '
	/(^|[^A-Za-z0-9_])goto([^A-Za-z0-9_]|$)/ { print file ":" FNR ": goto; use CLEANUP()" }
	/(^|[^A-Za-z0-9_])(stdout|stderr|stdin)([^A-Za-z0-9_]|$)/ && file !~ /^(cmd|bpf)\// {
		print file ":" FNR ": a standard stream below cmd/"
	}
	/(^|[^A-Za-z0-9_])fopen[ \t]*\(/ { fopen_line = FNR }
	' "$text/bare" >>"$violations"
	awk -v file="$1" '
	/(^|[^A-Za-z0-9_])fopen[ \t]*\(.*"[rwa+b]*"/ { print file ":" FNR ": fopen without \"e\"" }
	/(TO''DO|FIX''ME|(^|[^X])XX''X([^X]|$))/ { print file ":" FNR ": unfinished work" }
	END { if (NR > 700) print file ":" NR ": more than 700 lines; split by noun" }
	' "$1" >>"$violations"
}

banned >"$text/banned"
only_cmd >"$text/only_cmd"
for file in src/*/*.[ch] cmd/*.[ch] bpf/*.[ch]; do
	[ -f "$file" ] || continue
	case $file in
	src/*) layer=${file#src/}; layer=${layer%%/*} ;;
	*) layer=${file%%/*} ;;
	esac
	[ "$layer" = bpf ] || check_includes "$layer" "$file"
	[ -n "$(may_include "$layer")" ] || [ "$layer" = bpf ] || say "$file:1" "unknown layer $layer"
	bare "$file" >"$text/bare"
	check_calls "$file" "$text/banned" "is banned"
	case $layer in
	cmd | bpf) ;;
	*) check_calls "$file" "$text/only_cmd" "belongs to cmd/" ;;
	esac
	check_words "$file"
	case $file in
	*.h) grep -q '^#pragma once$' "$file" || say "$file:1" "no #pragma once" ;;
	esac
done
for users in "$text"/*_; do
	[ -f "$users" ] && [ "$(sort -u "$users" | wc -l)" -gt 1 ] &&
		say "$(head -n 1 "$users"):1" "one library is known by one file, here by $(sort -u "$users" | tr '\n' ' ')"
done

sort -u "$violations"
[ ! -s "$violations" ]
