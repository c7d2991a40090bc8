"""Drives the page of the hostile store (tests/unit/test_report_store.c) and compares what it shows with SQL. Prints TAP."""
import json
import pathlib
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
    answer = subprocess.run(["sqlite3", "-json", str(folder / "hostile.db"), query], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout or "[]")


def count_text(value):
    """As the page writes counts."""
    i = 0
    while abs(value) >= 999.5 and i < 4:
        value, i = value / 1000, i + 1
    digits = 0 if abs(value) >= 99.95 or value == 0 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}{['', ' K', ' M', ' G', ' T'][i]}"


def marker(method, threads, length):
    """A point's selector in the first plot, by its place in the page's data."""
    data = browser.run("return JSON.parse(document.getElementById('data').textContent).points")
    at = next(i for i, p in enumerate(data) if (p["method"], p["threads"], p["length"]) == (method, threads, length))
    return f".plot [data-point='{at}']"


def centre(selector):
    return browser.run("const b = document.querySelector(arguments[0]).querySelector('path').getBoundingClientRect();"
                       "return [b.x + b.width / 2, b.y + b.height / 2]", selector)


def to_view(selector):
    browser.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)


def details():
    return browser.run("const d = document.querySelector('.details'); return d.hidden ? null : d.innerText")


def shows(text, row):
    """Whether details hold a SQL row's numbers."""
    return text and all(part in text for part in (f"{row['method']} {row['cr']:g}×, W {row['threads']}, L {row['length']}",
                                                  f"{row['accuracy'] * 100:.1f} %", count_text(row["reads"]), count_text(row["peak"])))


def test_harmless():
    check(browser.run("return document.title") == "hostile · hyperscale", "no text changed the title", browser.run("return document.title"))
    check(browser.run("return getComputedStyle(document.body).display") == "block", "no text brought a style")
    check(browser.count("script") == 2 and browser.count("style") == 1 and browser.count("img, iframe, object, link") == 0,
          "no text became an element")
    check(browser.run("return performance.getEntriesByType('resource').length") == 0, "nothing is loaded from anywhere")
    browser.run("const s = document.createElement('script'); s.textContent = 'window.intruder = 1'; document.body.append(s);"
                "const i = document.createElement('img'); i.setAttribute('onerror', 'window.intruder = 1'); i.src = 'nowhere:'; document.body.append(i)")
    check(browser.run("return window.intruder ?? null") is None, "the policy stops a script even if one got in")
    check(browser.run("return /[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)") is False,
          "no control or bidirectional character reaches the reader")


def test_numbers():
    shown = browser.run("return JSON.parse(document.getElementById('data').textContent).points")
    stored = sql("SELECT * FROM points ORDER BY method, length, threads")
    shown.sort(key=lambda p: (p["method"], p["length"], p["threads"]))
    same = len(shown) == len(stored) > 0 and all(
        a["method"] == b["method"] and a["threads"] == b["threads"] and abs(a["accuracy"] - b["accuracy"]) < 1e-5
        and abs(a["reads"] / b["reads"] - 1) < 1e-5 and abs(a["peak"] / b["peak"] - 1) < 1e-5 for a, b in zip(shown, stored))
    check(same, "every point is what SQL says", shown[:1], stored[:1])
    rows = browser.run("return [...document.querySelectorAll('.points tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))")
    texts = {(r[0], r[2], r[3]): (r[4], r[8], r[9]) for r in rows}
    same = all(texts.get((p["method"], str(p["threads"]), str(p["length"]))) == (
        f"{p['accuracy'] * 100:.1f}", count_text(p["reads"]), count_text(p["peak"])) for p in stored)
    check(same and len(rows) == len(stored), "the table of points too", rows[:2])
    best = {(f["method"], f["threads"], f["length"]) for f in sql("SELECT * FROM frontier WHERE cost = 'reads'")}
    drawn = browser.run("const d = JSON.parse(document.getElementById('data').textContent).points;"
                        "return [...document.querySelector('.plot').querySelectorAll('.best')].map((n) => d[n.dataset.point])"
                        ".map((p) => [p.method, p.threads, p.length])")
    check({tuple(p) for p in drawn} == best, "the frontier too", drawn)
    margin = sql("SELECT * FROM margins WHERE cost = 'reads' AND scale = 'log2' AND method_a = 'dms'")[0]["margin"]
    check(f"+{margin * 100:.1f}" in browser.text("#margins tbody tr"), "the margin too", browser.text("#margins tbody"))


def test_pointer():
    row = sql("SELECT * FROM points WHERE method = 'dms' AND threads = 2 AND length = 400")[0]
    point = marker("dms", 2, 400)
    to_view(point)
    browser.point(("move", *centre(point)))
    check(shows(details(), row), "hovering a point shows its numbers", details(), row)
    check(browser.count(".pt.on") >= 2, "and marks it in every plot")
    browser.point(("move", 5, 5))
    check(details() is None, "they go when the pointer leaves")
    cell = browser.run("const c = document.querySelector('.cell[data-point=\"' + document.querySelector(arguments[0]).dataset.point + '\"]');"
                       "c.scrollIntoView({block: 'center'}); const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]", point)
    browser.point(("move", *cell))
    check(shows(details(), row), "a cell of the heat map shows the same", details())
    browser.point(("move", 5, 5))


def test_keyboard():
    rows = sql("SELECT points.* FROM points JOIN frontier USING (run, method, task, cr, length, threads) WHERE cost = 'reads' ORDER BY x")
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
    check(browser.run("return getComputedStyle(document.querySelector('.panel[data-series=\"0\"]')).display") == "none", "in the panels as well")
    browser.click("[data-method=vanilla]")
    check(browser.run(visible, point) is True, "and on")
    names = [marker("dms", w, 400) for w in (1, 2, 4)]
    browser.click("[data-value=linear]")
    x = [browser.run("return document.querySelector(arguments[0]).transform.baseVal[0].matrix.e", name) for name in names]
    check(abs((x[2] - x[1]) / (x[1] - x[0]) - 2) < 0.02 and "log" not in browser.text(".plot .axis-x"), "the linear axis is linear", x)
    browser.click("[data-value=log]")
    x = [browser.run("return document.querySelector(arguments[0]).transform.baseVal[0].matrix.e", name) for name in names]
    check(abs((x[2] - x[1]) / (x[1] - x[0]) - 1) < 0.02 and "log" in browser.text(".plot .axis-x"), "the log axis doubles evenly", x)
    browser.click("[data-switch=bands]")
    check(browser.run("return document.documentElement.classList.contains('no-bands')") is True, "bands can be switched off")
    browser.click("[data-switch=bands]")
    grounds = []
    for theme in ("dark", "light"):
        browser.click(f"[data-value={theme}]")
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    check(grounds == ["rgb(20, 22, 26)", "rgb(253, 253, 252)"], "the theme can be switched", grounds)
    browser.click("[data-value=auto]")


def test_zoom():
    to_view(".plot")
    left, top, right, bottom = browser.run("const b = document.querySelector('.plot .base').getBoundingClientRect(),"
                                           "s = document.querySelector('.plot').getBoundingClientRect(); return [b.left, s.top, b.right, b.top]")
    browser.point(("move", (left + right) / 2, top + 30), ("down",), ("move", right - 20, bottom - 40), ("up",))
    check(browser.count(".plot:first-of-type .pt.out") > 0 and browser.run("return document.querySelector('.reset').hidden") is False,
          "a brush zooms into its box")
    inside = browser.run("const c = document.querySelector('.plot .clip').getBoundingClientRect();"
                         "return [...document.querySelector('.plot').querySelectorAll('.pt:not(.out)')].every((n) => {"
                         "const b = n.querySelector('path').getBoundingClientRect(), x = b.x + b.width / 2;"
                         "return x >= c.left - 1 && x <= c.right + 1 })")
    check(inside, "what it shows lies in the frame")
    browser.click(".reset")
    check(browser.run("return document.querySelector('.plot').querySelectorAll('.pt.out').length") == 0, "a button shows all again")


def test_threads():
    threads = sql("SELECT outcome, count(*) AS n FROM threads WHERE thread < 2 GROUP BY outcome")
    check(browser.count(".thread") == sum(t["n"] for t in threads), "the sample of threads is there")
    for outcome in threads:
        name = outcome["outcome"].replace("_", " ")
        browser.run("const s = document.querySelector('[data-filter=outcome]'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))", name)
        check(browser.run("return [...document.querySelectorAll('.thread')].filter((t) => !t.hidden).length") == outcome["n"],
              f"the filter finds those {name}")
    browser.run("const s = document.querySelector('[data-filter=outcome]'); s.value = ''; s.dispatchEvent(new Event('change'))")
    browser.run("const t = document.querySelector('.thread[data-outcome=wrong]'); t.id = 'opened'; t.scrollIntoView()")
    browser.click("#opened > summary")
    text = browser.text("#opened")
    check("<script>document.title='pwned'</script>" in text and "\\x1b[31m" in text and "\\u202e" in text,
          "an opened thread shows its text as it is, controls made visible", text)
    check("grader's reason" in text and "KV items held" in text, "with verdict and cache", text)


def test_narrow():
    browser.resize(390, 844)
    browser.open(page.as_uri())
    check(browser.run("return document.documentElement.scrollWidth") <= 390, "nothing is wider than a phone",
          browser.run("return document.documentElement.scrollWidth"))
    size = browser.run("const t = document.querySelector('.plot .tick').getBoundingClientRect(); return t.height")
    check(size >= 10, "the plots' texts stay readable there", size)


def test_without_script():
    html = page.read_text()
    check(html.count('<svg class="plot"') >= 2 and html.count('class="frontier"') >= 4 and html.count('<details class="thread') > 0,
          "plots, frontiers and threads are there without the script")


browser = Browser()
try:
    browser.open(page.as_uri())
    for test in (test_numbers, test_pointer, test_keyboard, test_switches, test_zoom, test_threads):
        test()
    check(browser.log() == [], "the browser complains of nothing", browser.log())
    test_harmless()
    test_narrow()
    test_without_script()
finally:
    browser.close()
print(f"1..{number}")
