# The formats that other programs read, read by those programs where they are: LaTeX; Vega-Lite with the packages ajv,
# vega and vega-lite of npm in $VEGA_MODULES; sqlite3 for an export.
source "$(dirname "$0")/tap.sh"
REPORT_STORE_OUT=$tmp "$root/${BUILD:-build}/tests/test_report_store" >/dev/null || { echo "Bail out! no store"; exit 1; }
sqlite3 "$tmp/hostile.db" "UPDATE method SET name = name || ' _\$x^2\$ & 50% #{~}\\ é 漢', model = name; DELETE FROM margin; DELETE FROM frontier_point" || exit 1

report() { "$hyperscale" report --db "$tmp/hostile.db" "$@"; }

if command -v pdflatex >/dev/null; then
  report --format tex --paper --output "$tmp/tables.tex"
  printf '%s\n' '\documentclass{article}\usepackage{booktabs,longtable}\begin{document}\input{tables}\end{document}' >"$tmp/all.tex"
  (cd "$tmp" && pdflatex -halt-on-error -interaction=nonstopmode all.tex) >"$tmp/log" 2>&1
  ok $? 'LaTeX sets the tables of a store with hostile names'
  is "$(grep -c '^!' "$tmp/log")" 0 'and complains of nothing'
else
  ok 0 'LaTeX # SKIP pdflatex is not installed'
fi

if [ -d "${VEGA_MODULES:-}/vega-lite" ] && command -v node >/dev/null; then
  cat >"$tmp/vega.mjs" <<'JS'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const modules = process.argv[2];
const from = createRequire(pathToFileURL(`${modules}/`));
const load = (name) => import(pathToFileURL(from.resolve(name)));
const [vegaLite, vega, { default: Ajv }] = await Promise.all(["vega-lite", "vega", "ajv"].map(load));
const specification = JSON.parse(readFileSync(process.argv[3]));
const schema = JSON.parse(readFileSync(`${modules}/vega-lite/build/vega-lite-schema.json`));
const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
if (!validate(specification)) throw new Error(JSON.stringify(validate.errors[0]));
const view = new vega.View(vega.parse(vegaLite.compile(specification).spec), { renderer: "none" });
if (!(await view.toSVG()).startsWith("<svg")) throw new Error("no picture");
JS
  for cost in reads throughput; do
    report --format vega-lite --cost "$cost" --output "$tmp/plot.json"
    node "$tmp/vega.mjs" "$(realpath "$VEGA_MODULES")" "$tmp/plot.json"
    ok $? "Vega-Lite's schema allows the plot of $cost, and Vega draws it"
  done
else
  ok 0 'Vega-Lite # SKIP VEGA_MODULES names no folder with vega-lite'
fi

is "$(cd "$tmp" && report --format csv --output - | md5sum)" "$(report --format csv | md5sum)" 'a minus for a file is stdout'

"$hyperscale" export --db "$tmp/hostile.db" --sqlite "$tmp/export.db" >/dev/null
ok $? 'a store is exported'
for view in runs points frontier margins threads outcomes regrades; do
  sqlite3 "$tmp/export.db" "SELECT count(*) FROM $view" >/dev/null
  ok $? "its view $view answers"
done
is "$(sqlite3 "$tmp/export.db" 'PRAGMA integrity_check')" ok 'it is whole'
is "$(sqlite3 "$tmp/export.db" 'SELECT count(*) FROM completion')" 0 'and holds no text'
done_testing
