"""Drives the page of the hostile store (tests/unit/test_report_store.c) and compares it with SQL. Prints TAP."""
import json
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from webdriver import Browser  # noqa: E402

folder = pathlib.Path(sys.argv[1])
page = folder / "hostile.html"
number = 0


def check(ok, name, *seen):
    global number
    number += 1
    print(f"{'ok' if ok else 'not ok'} {number} - {name}", flush=True)
    if not ok:
        for value in seen:
            print(f"#   {value!r}"[:2000])


def sql(query):
    command = ["sqlite3", "-json", str(folder / "hostile.db"), query]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout or "[]")


def count_text(value):
    """As the page writes counts."""
    i = 0
    while abs(value) >= 999.5 and i < 4:
        value, i = value / 1000, i + 1
    digits = 0 if abs(value) >= 99.95 or value == 0 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}{['', ' K', ' M', ' G', ' T'][i]}"


def shown_points():
    return browser.run("return JSON.parse(document.getElementById('data').textContent).points")


def marker(method, threads, length):
    """A point's selector in the first plot, by its place in the page's data."""
    names = [(p["method"], p["threads"], p["length"]) for p in shown_points()]
    at = names.index((method, threads, length))
    return f".plot [data-point='{at}']"


def centre(selector):
    return browser.run("const mark = document.querySelector(arguments[0]).querySelector('path');"
                       "const b = mark.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]", selector)


def to_view(selector):
    browser.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)


def details():
    return browser.run("const d = document.querySelector('.details'); return d.hidden ? null : d.innerText")


def shows(text, row):
    """Whether details hold a SQL row's numbers."""
    title = f"{row['method']} {row['cr']:g}×, W {row['threads']}, L {row['length']}"
    numbers = (f"{row['accuracy'] * 100:.1f} %", count_text(row["reads"]), count_text(row["peak"]))
    return bool(text) and all(part in text for part in (title, *numbers))


def test_harmless():
    title = browser.run("return document.title")
    check(title == "hostile · hyperscale", "no text changed the title", title)
    check(browser.run("return getComputedStyle(document.body).display") == "block", "no text brought a style")
    foreign = browser.count("img, iframe, object, link")
    check(browser.count("script") == 2 and browser.count("style") == 1 and not foreign, "no text became an element")
    check(browser.run("return performance.getEntriesByType('resource').length") == 0, "nothing is loaded from anywhere")
    browser.run("const s = document.createElement('script'); s.textContent = 'window.intruder = 1';"
                "const i = document.createElement('img'); i.setAttribute('onerror', 'window.intruder = 1');"
                "i.src = 'nowhere:'; document.body.append(s, i)")
    check(browser.run("return window.intruder ?? null") is None, "the policy stops a script even if one got in")
    text = browser.run("return document.body.textContent")
    hidden = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    check(not hidden, "no control or bidirectional character reaches the reader", hidden)


def near(a, b):
    return abs(a - b) <= 1e-5 * max(abs(b), 1)


def test_numbers():
    order = ("method", "length", "threads")
    shown = sorted(shown_points(), key=lambda p: [p[key] for key in order])
    stored = sql("SELECT * FROM points ORDER BY method, length, threads")
    same = len(shown) == len(stored) > 0 and all(
        all(a[key] == b[key] for key in order) and all(near(a[key], b[key]) for key in ("accuracy", "reads", "peak"))
        for a, b in zip(shown, stored))
    check(same, "every point is what SQL says", shown[:1], stored[:1])

    rows = browser.run("return [...document.querySelectorAll('.points tbody tr')]"
                       ".map((row) => [...row.cells].map((cell) => cell.textContent))")
    texts = {(r[0], r[2], r[3]): (r[4], r[8], r[9]) for r in rows}
    same = len(rows) == len(stored) and all(
        texts.get((p["method"], str(p["threads"]), str(p["length"])))
        == (f"{p['accuracy'] * 100:.1f}", count_text(p["reads"]), count_text(p["peak"])) for p in stored)
    check(same, "the table of points too", rows[:2])

    best = {(f["method"], f["threads"], f["length"]) for f in sql("SELECT * FROM frontier WHERE cost = 'reads'")}
    drawn = browser.run("return [...document.querySelector('.plot').querySelectorAll('.best')]"
                        ".map((mark) => Number(mark.dataset.point))")
    points = shown_points()
    drawn = {(points[i]["method"], points[i]["threads"], points[i]["length"]) for i in drawn}
    check(drawn == best, "the frontier too", drawn, best)

    margin = sql("SELECT * FROM margins WHERE cost = 'reads' AND scale = 'log2' AND method_a = 'dms'")[0]["margin"]
    text = browser.text("#margins tbody tr")
    check(f"+{margin * 100:.1f}" in text, "the margin too", text, margin)


def test_pointer():
    row = sql("SELECT * FROM points WHERE method = 'dms' AND threads = 2 AND length = 400")[0]
    point = marker("dms", 2, 400)
    to_view(point)
    browser.point(("move", *centre(point)))
    check(shows(details(), row), "hovering a point shows its numbers", details(), row)
    check(browser.count(".pt.on") >= 2, "and marks it in every plot")
    browser.point(("move", 5, 5))
    check(details() is None, "they go when the pointer leaves")
    cell = browser.run("const { point } = document.querySelector(arguments[0]).dataset;"
                       "const cell = document.querySelector(`.cell[data-point='${point}']`);"
                       "cell.scrollIntoView({ block: 'center' }); const b = cell.getBoundingClientRect();"
                       "return [b.x + b.width / 2, b.y + b.height / 2]", point)
    browser.point(("move", *cell))
    check(shows(details(), row), "a cell of the heat map shows the same", details())
    browser.point(("move", 5, 5))


def test_keyboard():
    rows = sql("SELECT points.* FROM points JOIN frontier USING (run, method, task, cr, length, threads) "
               "WHERE cost = 'reads' ORDER BY x")
    browser.run("document.querySelector('.plot').focus()")
    browser.press("right")
    check(shows(details(), rows[0]), "an arrow key selects the first point", details(), rows[0])
    own = [r for r in rows if r["method"] == rows[0]["method"]]
    browser.press("right")
    check(shows(details(), own[1]), "the next goes along the method", details(), own[1])
    browser.press("up")
    check(details() and not details().startswith(own[0]["method"]), "up goes to the other method", details())
    browser.press("escape")
    check(details() is None, "escape ends it")
    browser.run("document.activeElement.blur()")


def test_switches():
    point = marker("vanilla", 4, 400)
    visible = "return getComputedStyle(document.querySelector(arguments[0]).parentNode).display !== 'none'"
    browser.click("[data-method=vanilla]")
    check(browser.run(visible, point) is False, "a method can be switched off")
    display = browser.run("return getComputedStyle(document.querySelector('.panel[data-series=\"0\"]')).display")
    check(display == "none", "in the panels as well", display)
    browser.click("[data-method=vanilla]")
    check(browser.run(visible, point) is True, "and on")
    names = [marker("dms", threads, 400) for threads in (1, 2, 4)]
    place = "return document.querySelector(arguments[0]).transform.baseVal[0].matrix.e"
    for scale, stretch, says_log in (("linear", 2, False), ("log", 1, True)):
        browser.click(f"[data-value={scale}]")
        x = [browser.run(place, name) for name in names]
        even = abs((x[2] - x[1]) / (x[1] - x[0]) - stretch) < 0.02
        check(even and ("log" in browser.text(".plot .axis-x")) == says_log, f"the {scale} axis is {scale}", x)
    browser.click("[data-switch=bands]")
    check(browser.count(":root.no-bands") == 1, "bands can be switched off")
    browser.click("[data-switch=bands]")
    grounds = []
    for theme in ("dark", "light"):
        browser.click(f"[data-value={theme}]")
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    check(grounds == ["rgb(20, 22, 26)", "rgb(253, 253, 252)"], "the theme can be switched", grounds)
    browser.click("[data-value=auto]")


def test_ticks():
    """The script chooses ticks as C has: at the width for which C drew, nothing changes."""
    plots = re.findall(r'<svg class="plot".*?</svg>\s*</svg>|<svg class="plot".*?</g>', page.read_text(), re.S)
    drawn = re.findall(r'class="tick"[^>]*>([^<]*)<', plots[0])
    width = float(re.search(r'viewBox="0 0 ([0-9.]+)', plots[0])[1])
    ticks = browser.run("const plot = document.querySelector('.plot'); plot.parentNode.style.width = `${arguments[0]}px`;"
                        "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>"
                        "done([...plot.querySelectorAll('.tick')].map((tick) => tick.textContent)))))", width)
    check(ticks == drawn and len(drawn) > 5, "script and C agree on ticks and their labels", ticks, drawn)
    browser.run("document.querySelector('.plot').parentNode.style.width = ''")


def test_zoom():
    to_view(".plot")
    left, top, right, bottom = browser.run("const base = document.querySelector('.plot .base').getBoundingClientRect();"
                                           "const plot = document.querySelector('.plot').getBoundingClientRect();"
                                           "return [base.left, plot.top, base.right, base.top]")
    browser.point(("move", (left + right) / 2, top + 30), ("down",), ("move", right - 20, bottom - 40), ("up",))
    out = "return document.querySelector('.plot').querySelectorAll('.pt.out').length"
    check(browser.run(out) > 0 and browser.run("return document.querySelector('.reset').hidden") is False,
          "a brush zooms into its box")
    inside = browser.run("const clip = document.querySelector('.plot .clip').getBoundingClientRect();"
                         "return [...document.querySelector('.plot').querySelectorAll('.pt:not(.out) path')]"
                         ".map((path) => path.getBoundingClientRect()).map((b) => b.x + b.width / 2)"
                         ".every((x) => x >= clip.left - 1 && x <= clip.right + 1)")
    check(inside, "what it shows lies in the frame")
    browser.click(".reset")
    check(browser.run(out) == 0, "a button shows all again")


def filter_outcome(outcome):
    browser.run("const select = document.querySelector('[data-filter=outcome]'); select.value = arguments[0];"
                "select.dispatchEvent(new Event('change'))", outcome)


def test_threads():
    stored = sql("SELECT outcome, count(*) AS n FROM threads WHERE thread < 2 GROUP BY outcome")
    check(browser.count(".thread") == sum(row["n"] for row in stored), "the sample of threads is there")
    for row in stored:
        outcome = row["outcome"].replace("_", " ")
        filter_outcome(outcome)
        check(browser.count(".thread:not([hidden])") == row["n"], f"the filter finds those {outcome}")
    filter_outcome("")
    browser.run("const t = document.querySelector('.thread[data-outcome=wrong]'); t.id = 'opened';"
                "t.closest('.problem').open = true; t.scrollIntoView()")
    browser.click("#opened > summary")
    text = browser.text("#opened")
    check("<script>document.title='pwned'</script>" in text and "\\x1b[31m" in text and "\\u202e" in text,
          "an opened thread shows its text as it is, controls made visible", text)
    check("grader's reason" in text and "KV items held" in text, "with verdict and cache", text)


def test_comparison():
    pairs = json.loads((folder / "compare.json").read_text())["pairs"]
    alike = sum(pair["indistinguishable"] for pair in pairs)
    drawn = browser.count(".panel .alike"), browser.count(".panel .apart")
    check(drawn == (alike, len(pairs) - alike), "each budget is drawn as alike or apart as compare says", drawn, alike)
    rows = browser.run("return [...document.querySelectorAll('.compared tbody tr')]"
                       ".map((row) => [...row.cells].map((cell) => cell.textContent))")
    shown = {(r[2], r[3]): (r[6].replace("\u2212", "-"), r[11]) for r in rows}
    def expected(pair):
        points = f"{pair['difference'] * 100:+.1f}"
        better = pair["method_a" if pair["difference"] > 0 else "method_b"]
        return ("0.0" if points in ("+0.0", "-0.0") else points, "indistinguishable" if pair["indistinguishable"] else better)
    same = len(rows) == len(pairs) > 0 and all(
        shown[(str(pair["threads"]), str(pair["length"]))] == expected(pair) for pair in pairs)
    check(same, "the table of budgets compared too", rows[:2], pairs[:1])


def test_regrades():
    moved = sql("SELECT outcome_before, outcome_after, count(*) AS n FROM regrades GROUP BY 1, 2")
    rows = browser.run("return [...document.querySelectorAll('#regrades table')[0].tBodies[0].rows]"
                       ".map((row) => [row.cells[2].textContent, Number(row.cells[3].textContent)])")
    wanted = [[f"{row['outcome_before']} \u2192 {row['outcome_after']}", row["n"]] for row in moved]
    check(rows == wanted and rows, "verdicts that a grader moved are counted as SQL does", rows, wanted)


def test_narrow():
    browser.resize(390, 844)
    browser.open(page.as_uri())
    width = browser.run("return document.documentElement.scrollWidth")
    check(width <= 390, "nothing is wider than a phone", width)
    for width in (390, 700, 1000, 1060, 1200):
        browser.resize(width, 844)
        right = browser.run("return Math.max(...[...document.querySelectorAll('#margins > .scroll td:last-child, "
                            "#margins > table td:last-child')].map((cell) => cell.getBoundingClientRect().right))")
        check(0 < right <= width, f"the margins' verdicts are in sight {width} pixels wide", right)
    browser.resize(390, 844)
    size = browser.run("const t = document.querySelector('.plot .tick').getBoundingClientRect(); return t.height")
    check(size >= 10, "the plots' texts stay readable there", size)


def test_without_script():
    html = page.read_text()
    check(html.count('<svg class="plot"') >= 2 and html.count('class="frontier"') >= 4
          and html.count('<details class="thread') > 0, "plots, frontiers and threads are there without the script")


browser = Browser()
try:
    browser.open(page.as_uri())
    for test in (test_numbers, test_pointer, test_keyboard, test_switches, test_ticks, test_zoom, test_threads, test_comparison,
                 test_regrades):
        test()
    check(browser.log() == [], "the browser complains of nothing", browser.log())
    test_harmless()
    test_narrow()
    test_without_script()
finally:
    browser.close()
print(f"1..{number}")
