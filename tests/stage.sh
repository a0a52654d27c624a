#!/bin/sh
# stage.sh NAME COMMAND... - run one stage of `make check`: keep its log, its time and its counts. Always exits 0.
#
# A command that counts for itself writes "passed failed skipped", then one reason of a skip per line, to $STAGE_COUNT;
# any other command is one test, passed or failed by its exit status.
set -u
name=$1
shift
dir=build/check
mkdir -p "$dir"
STAGE_COUNT=$PWD/$dir/$name.count
export STAGE_COUNT
rm -f "$STAGE_COUNT"

start=$(date +%s.%N)
"$@" >"$dir/$name.log" 2>&1 </dev/null
rc=$?
seconds=$(echo "$start $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')

if [ -s "$STAGE_COUNT" ]; then
	read -r passed failed skipped <"$STAGE_COUNT"
	# A run that broke off after its tests is a failure even where every test passed.
	if [ "$rc" != 0 ] && [ "$failed" = 0 ]; then
		failed=1
	fi
elif [ "$rc" = 0 ]; then
	passed=1 failed=0 skipped=0
else
	passed=0 failed=1 skipped=0
fi
reasons=$(sed 1d "$STAGE_COUNT" 2>/dev/null)
printf '%s %s %s\n' "$passed" "$failed" "$skipped" >"$STAGE_COUNT"
[ -z "$reasons" ] || printf '%s\n' "$reasons" >>"$STAGE_COUNT"

word=ok
[ "$failed" = 0 ] || word=FAIL
printf '%-5s%-12s %5d passed %3d failed %3d skipped %8s s\n' "$word" "$name" "$passed" "$failed" "$skipped" "$seconds"
if [ "$failed" != 0 ]; then
	echo "---- the end of $dir/$name.log"
	tail -n 60 "$dir/$name.log" | cut -c 1-400
	echo "----"
fi
exit 0
