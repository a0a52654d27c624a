#!/bin/sh
# fuzz.sh DIR SECONDS - replay each target's corpus in tests/fuzz/corpus/NOUN, then fuzz it for SECONDS.
#
# What is found is kept under build/fuzz/found/, new inputs under build/fuzz/corpus/. Each target counts as one test.
set -u
dir=$1 seconds=$2
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export ASAN_OPTIONS UBSAN_OPTIONS
found=build/fuzz/found
mkdir -p "$found"

passed=0 failed=0
for source in tests/fuzz/fuzz-*.c; do
	[ -e "$source" ] || { echo "no fuzz targets" >&2; break; }
	name=$(basename "$source" .c)
	seeds=tests/fuzz/corpus/${name#fuzz-}
	grown=build/fuzz/corpus/${name#fuzz-}
	mkdir -p "$grown"
	echo "== $name"
	if [ ! -d "$seeds" ]; then
		echo "$seeds: no seed corpus"
		failed=$((failed + 1))
	elif "$dir/$name" -runs=0 -timeout=10 -artifact_prefix="$found/$name-" "$seeds" &&
		"$dir/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix="$found/$name-" "$grown" "$seeds"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
[ -z "${STAGE_COUNT:-}" ] || echo "$passed $failed 0" >"$STAGE_COUNT"
[ "$failed" = 0 ]
