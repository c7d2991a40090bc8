# Runs on a GPU: KV memory so short that sequences are preempted changes nothing in a run, and fp8 is a method of its own.
source "$(dirname "$0")/tap.sh"
"$hyperscale" generate pocket-reasoner "1+1" -m 2 --device cuda > "$tmp/tried" 2>&1 || skip_all "$(tail -1 "$tmp/tried")"

plan() { # plan NAME PRECISION
  cat > "$tmp/$1.yaml" <<PLAN
name: $1
tasks:
  - {name: pocket-aime}
  - {name: pocket-gpqa}
methods:
  - {name: vanilla-$2, model: pocket-reasoner, policy: vanilla, cr: 1, precision: $2}
  - {name: dms-$2, model: pocket-reasoner-dms-4x, policy: dms, cr: 4, precision: $2}
threads: [1, 4]
lengths: [96, 256]
sampling: {temperature: 0.6, top_p: 0.95}
seed: 7
PLAN
}
run() { "$hyperscale" run "$tmp/$1.yaml" --db "$tmp/$2.db" --device cuda --limit 5 --quiet --json "${@:3}"; }
field() { python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
query() { # query DB SQL: a digest of the rows, and the first of them
  python3 -c 'import hashlib,sqlite3,sys
rows = sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()
print(len(rows), hashlib.sha256(repr(rows).encode()).hexdigest(), *rows[:1])' "$tmp/$1.db" "$2"
}
content='SELECT method.name, task.name, problem.name, thread.thread, generation.finish, live_sum, hex(tokens), hex(live)
  FROM thread JOIN method ON method.id = thread.method JOIN problem ON problem.id = thread.problem
  JOIN task ON task.id = problem.task JOIN generation ON generation.id = thread.generation
  JOIN completion ON completion.generation = generation.id JOIN trace ON trace.generation = generation.id
  ORDER BY 1, 2, 3, 4'

plan f32 f32
is "$(run f32 ample | field preemptions)" 0 'memory for all: nothing is preempted'
output=$(run f32 tight --kv-memory 0.0016)
preempted=$(printf '%s' "$output" | field preemptions)
[ "$preempted" -gt 0 ]
ok $? "1.7 MB of KV memory: $preempted preemptions"
is "$(printf '%s' "$output" | field failed)" 0 'and no thread fails'
is "$(query tight "$content" | cut -c 1-70)" "$(query ample "$content" | cut -c 1-70)" 'tokens and live traces are the same'

plan fp8 fp8
run fp8 ample > "$tmp/fp8.json"
is "$(field generated < "$tmp/fp8.json")" 80 'fp8 shares no generation with f32'
like "$(query ample "SELECT DISTINCT policy FROM points WHERE method = 'dms-fp8'")" "^1 .*dms\+fp8" 'and says so in its points'
like "$(query ample "SELECT item_bytes FROM method WHERE name = 'dms-fp8'")" "\(64,\)" 'with a byte for each element'
done_testing
