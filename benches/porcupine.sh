#!/bin/sh
# Porcupine's own benchmarks and ours, one after the other, on one core each: the same files, reading excluded.
#
#   git clone https://github.com/anishathalye/porcupine
#   benches/porcupine.sh porcupine
#
# Needs Go. Porcupine's benchmarks check each file with its answer; "all logs" is their sum.
set -eu
checkout=$1
here=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-3}
(cd "$checkout" && go test -run '^$' -bench '^Benchmark(EtcdJepsen|Kv[0-9])' -cpu 1 -count "$rounds" .) |
    awk '/^Benchmark/ { n[$1]++; t[$1, n[$1]] = $3 }
         END {
             for (name in n) {
                 m = n[name]
                 for (i = 1; i <= m; i++) a[i] = t[name, i]
                 for (i = 2; i <= m; i++) for (j = i; j > 1 && a[j] < a[j-1]; j--) { x = a[j]; a[j] = a[j-1]; a[j-1] = x }
                 median = a[int((m + 1) / 2)]
                 if (name ~ /Jepsen/) { sum += median; logs++ }
                 if (name !~ /Jepsen/ || name ~ /(002|007|040|057|062|075|099)$/) printf "%-28s %12.1f us\n", name, median / 1000
             }
             printf "%-28s %12.1f us (%d logs)\n", "EtcdJepsen, sum of medians", sum / 1000, logs
         }' | sort
cd "$here"
cargo bench --bench linearizable -- --quiet
