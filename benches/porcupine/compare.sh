#!/bin/sh
# Porcupine's checker and ours on every file of Porcupine's test data: the verdicts, which must be the same, and the
# CPU times of a check, taken in turns, reading the files excluded. Needs Go and a checkout of Porcupine:
#
#   git clone https://github.com/anishathalye/porcupine
#   benches/porcupine/compare.sh porcupine
#
# ROUNDS (5) rounds of at least WHILE (20ms) for each file; the table has medians over the rounds.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
checkout=$(cd "$1" && pwd)
rounds=${ROUNDS:-5}
export WHILE="${WHILE:-20ms}" GOMAXPROCS=1
work=$(mktemp -d)
trap 'rm -rf "$work" "$checkout/every_file_test.go"' EXIT
cp "$here/benches/porcupine/every_file_test.go" "$checkout/"
(cd "$checkout" && go test -c -o "$work/theirs" .)
cd "$here"
cargo bench --quiet --bench linearizable --no-run
round=0
while [ "$round" -lt "$rounds" ]; do
    (cd "$checkout" && "$work/theirs" -test.run '^TestEveryFile$' -test.timeout 1h) |
        awk '$1 == "FILE" { print "theirs", $2, $3, $4 }' >>"$work/times"
    cargo bench --quiet --bench linearizable -- --every-file "$checkout/test_data" |
        awk '$1 == "FILE" { print "ours", $2, $3, $4 }' >>"$work/times"
    round=$((round + 1))
    echo "round $round of $rounds" >&2
done
sort -k2,2 -k1,1 -k4,4n "$work/times" | awk '
    function row(name, theirs, ours) {
        return sprintf("%-24s %14.1f %14.1f %9.1fx", name, theirs / 1000, ours / 1000, theirs / ours)
    }
    { files[$2]; verdict[$1, $2] = $3; time[$1, $2, ++count[$1, $2]] = $4 }
    END {
        printf "%-24s %14s %14s %10s\n", "file", "Porcupine, us", "splitbrain, us", "faster by"
        for (file in files) {
            if (verdict["ours", file] != verdict["theirs", file]) { print "DIFFERENT VERDICT: " file; bad = 1 }
            n = int((count["ours", file] + 1) / 2)
            ours = time["ours", file, n]; theirs = time["theirs", file, n]
            if (file ~ /^kv/) print row(file, theirs, ours) | "sort"
            else {
                logs++; all_ours += ours; all_theirs += theirs
                if (!least || theirs / ours < least) { least = theirs / ours; least_file = file }
                if (theirs / ours > most) { most = theirs / ours; most_file = file }
            }
            if (ours >= theirs) slower = slower " " file
            total++
        }
        close("sort")
        print row("jepsen, all " logs " logs", all_theirs, all_ours)
        printf "least %.1fx %s, most %.0fx %s\n", least, least_file, most, most_file
        printf "%d files, %s\n", total, slower ? "slower on:" slower : "faster on each"
        exit bad
    }'
