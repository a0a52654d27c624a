#!/bin/sh
# unit.sh DIR PROGRAM... - run the cmocka programs; their TAP output lies in DIR/NAME.tap. Counts go to $STAGE_COUNT.
#
# A program that crashes, hangs for five minutes or exits non-zero without a "not ok" counts as one more failure.
set -u
dir=$1
shift
[ $# -gt 0 ] || { echo "no unit tests" >&2; exit 1; }
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS UBSAN_OPTIONS CMOCKA_MESSAGE_OUTPUT

passed=0 failed=0 skipped=0 reasons=
for program in "$@"; do
	name=${program##*/}
	tap=$dir/$name.tap
	timeout 300 "$program" >"$tap" 2>&1
	rc=$?
	p=$(grep -c '^ok' "$tap")
	f=$(grep -c '^not ok' "$tap")
	s=$(grep -ci '^\(not \)\{0,1\}ok.*# *skip' "$tap")
	p=$((p - s))
	if [ "$rc" != 0 ] && [ "$f" = 0 ]; then
		f=1
		echo "$name: exit status $rc"
	fi
	if [ $((p + f + s)) = 0 ]; then
		f=1
		echo "$name: ran no test"
	fi
	[ "$f" = 0 ] || { echo "== $name"; cat "$tap"; }
	[ "$s" = 0 ] || reasons="$reasons$name: skipped by the test
"
	printf '%-28s %4d passed %3d failed %3d skipped\n' "$name" "$p" "$f" "$s"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
if [ -n "${STAGE_COUNT:-}" ]; then
	echo "$passed $failed $skipped" >"$STAGE_COUNT"
	printf '%s' "$reasons" >>"$STAGE_COUNT"
fi
[ "$failed" = 0 ]
