/* What report.html can do beyond showing itself: details of points by pointer and keyboard, methods switched on and off, linear and log2
 * axes, zoom, theme, a filter for the threads. All texts reach the document as text nodes. The plots are already drawn; this moves their
 * parts. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const points = data.points;
  const NS = "http://www.w3.org/2000/svg";
  const state = { log: true, bands: true, hidden: new Set() };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function svgElement(name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  /* ---- Numbers, as the rest of the page writes them ---- */

  const known = (value) => typeof value === "number";
  const digits = (value) => value.toFixed(Math.abs(value) >= 99.95 || value === 0 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2);

  function scaled(value, unit) {
    const prefixes = ["", "K", "M", "G", "T"];
    let i = 0;
    while (Math.abs(value) >= 999.5 && i < prefixes.length - 1) value /= 1000, i++;
    return digits(value) + (prefixes[i] + unit ? " " + prefixes[i] + unit : "");
  }

  function costText(cost, value) {
    if (!known(value)) return "NA";
    if (cost === "bytes") return scaled(value, "B");
    if (cost !== "seconds") return scaled(value, "");
    if (value < 0.9995) return digits(value * 1000) + " ms";
    if (value < 600) return digits(value) + " s";
    return value < 36000 ? digits(value / 60) + " min" : scaled(value / 3600, "h");
  }

  const tickText = (cost, value) => costText(cost, value).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
  const percent = (share) => (known(share) ? (share * 100).toFixed(1) : "NA");

  function ticks(low, high, log, most) {
    const result = [];
    if (!(high > low)) return result;
    if (log) {
      const stride = Math.max(1, Math.ceil(Math.log2(high / low) / most));
      let tick = 10 ** Math.floor(Math.log10(low));
      while (tick < low) tick *= 2;
      for (; tick <= high; tick *= 2 ** stride) result.push(tick);
      if (result.length > 1) return result;
      result.length = 0; /* zoomed into less than a doubling */
    }
    let step = 10 ** Math.floor(Math.log10((high - low) / most));
    const steps = (high - low) / step;
    step *= steps <= 2 * most ? 2 : steps <= 5 * most ? 5 : 10;
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) result.push(n * step + 0);
    return result;
  }

  /* ---- Details of a point ---- */

  const details = element("div", { class: "details", role: "status", "aria-live": "polite", hidden: "" });
  document.body.append(details);

  function detailRows(point) {
    const interval = `${percent(point.low)} to ${percent(point.high)} %`;
    const rows = [
      ["accuracy", `${percent(point.accuracy)} %`],
      ["95 % interval", interval],
      ["± problems, threads", `${percent(point.accuracy_se)}, ${percent(point.accuracy_se_threads)}`],
      ["KV reads", costText("reads", point.reads)],
      ["peak KV", costText("peak", point.peak)],
      ["tokens", costText("tokens", point.tokens)],
    ];
    if (known(point.seconds)) rows.push(["time", costText("seconds", point.seconds)]);
    rows.push(["measured CR", known(point.realised_cr) ? point.realised_cr.toFixed(2) : "NA"]);
    rows.push(["problems", `${point.problems}, ${point.derived ? "derived" : "run as such"}`]);
    const outcomes = [["correct", point.correct], ["wrong", point.wrong], ["no answer", point.no_answer], ["truncated", point.truncated],
      ["error", point.errors], ["ungraded", point.ungraded]].filter(([, share]) => share > 0);
    rows.push(["threads", outcomes.map(([name, share]) => `${percent(share)} % ${name}`).join(", ")]);
    return rows;
  }

  let marked = [];
  function showDetails(index, anchor) {
    const point = points[index];
    marked.forEach((node) => node.classList.remove("on"));
    marked = all(`[data-point="${index}"]`);
    marked.forEach((node) => node.classList.add("on"));
    const title = element("b", {}, `${point.method} ${point.cr}×, W ${point.threads}, L ${point.length}`);
    const list = element("dl");
    for (const [name, text] of detailRows(point)) list.append(element("dt", {}, name), element("dd", {}, text));
    details.replaceChildren(title, list);
    details.hidden = false;
    const box = anchor.getBoundingClientRect(), own = details.getBoundingClientRect();
    const x = box.left + box.width / 2, below = box.bottom + 12 + own.height <= innerHeight;
    details.style.left = `${scrollX + Math.max(8, Math.min(x - own.width / 2, document.documentElement.clientWidth - own.width - 8))}px`;
    details.style.top = `${scrollY + (below ? box.bottom + 12 : Math.max(8, box.top - own.height - 12))}px`;
  }

  function hideDetails() {
    marked.forEach((node) => node.classList.remove("on"));
    marked = [];
    details.hidden = true;
  }

  /* ---- Plots ---- */

  const margin = { left: 44, top: 26, right: 16, bottom: 46 };

  class Plot {
    constructor(svg) {
      this.svg = svg;
      this.cost = svg.dataset.cost;
      this.axisTitle = svg.dataset.axis;
      this.axes = svg.querySelector(".axes");
      this.clip = svg.querySelector(".clip");
      this.nodes = all(".pt", svg).map((node) => {
        const point = points[node.dataset.point];
        return { node, point, x: point[this.cost], y: point.accuracy, best: node.classList.contains("best"),
          series: node.parentNode.dataset.series, label: node.querySelector(".label") };
      });
      this.series = all(".series", this.clip).map((group) => ({
        name: group.dataset.series, frontier: group.querySelector(".frontier"), band: group.querySelector(".band"),
        line: this.nodes.filter((n) => n.best && n.series === group.dataset.series).sort((a, b) => a.x - b.x) }));
      this.intervals = new Map(data.frontier.filter((f) => f.cost === this.cost).map((f) => [`${f.task}/${f.method}/${f.cr}/${f.length}/${f.threads}`, f]));
      this.current = null;
      this.zoom = null;
      if (!this.nodes.length) return;
      svg.setAttribute("tabindex", "0");
      svg.setAttribute("aria-description", "Arrow keys go from point to point, plus and minus zoom, Escape shows all.");
      this.reset = element("button", { type: "button", class: "reset", hidden: "" }, "show all");
      const caption = svg.parentNode.parentNode.querySelector("figcaption");
      caption.append(" ", element("span", { class: "hint" }, "Drag to zoom, arrow keys walk the points."), " ", this.reset);
      this.reset.addEventListener("click", () => this.setZoom(null));
      this.listen();
      new ResizeObserver(() => this.layout()).observe(svg.parentNode);
    }

    visible() { return this.nodes.filter((n) => !state.hidden.has(n.series) && this.inside(n)); }
    inside(n) { return n.x >= this.range.x0 && n.x <= this.range.x1 && n.y >= this.range.y0 - 1e-9 && n.y <= this.range.y1 + 1e-9; }

    interval(n) {
      const p = n.point;
      return this.intervals.get(`${p.task}/${p.method}/${p.cr}/${p.length}/${p.threads}`) ?? {};
    }

    fullRange() {
      const xs = this.nodes.map((n) => n.x), x0 = Math.min(...xs), x1 = Math.max(...xs);
      const air = x1 > x0 ? Math.exp(Math.log(x1 / x0) * 0.04) : Math.SQRT2;
      let y0 = 1, y1 = 0;
      for (const n of this.nodes) {
        const { low, high } = n.best ? this.interval(n) : {};
        y0 = Math.min(y0, known(low) ? low : n.y);
        y1 = Math.max(y1, known(high) ? high : n.y);
      }
      y0 = Math.max(0, Math.min(0.9, Math.floor((y0 - 0.02) * 10) / 10));
      y1 = Math.min(1, Math.max(y0 + 0.1, Math.ceil((y1 + 0.02) * 10) / 10));
      return { x0: state.log ? x0 / air : 0, x1: state.log ? x1 * air : x1 * 1.04, y0, y1 };
    }

    layout() {
      const width = Math.max(this.svg.parentNode.clientWidth, 280);
      if (!this.svg.parentNode.clientWidth) return; /* in a closed <details> */
      const height = Math.round(Math.min(390, Math.max(300, width * 0.62)));
      this.frame = { left: margin.left, top: margin.top, width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
      this.range = this.zoom ?? this.fullRange();
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const box = [this.frame.left, this.frame.top - 1.5, this.frame.width, this.frame.height + 3];
      ["x", "y", "width", "height"].forEach((key, i) => this.clip.setAttribute(key, box[i]));
      this.clip.setAttribute("viewBox", box.join(" "));
      this.drawAxes();
      this.movePoints();
      this.drawLines();
    }

    px(x) {
      const { x0, x1 } = this.range;
      const share = state.log ? Math.log(x / x0) / Math.log(x1 / x0) : (x - x0) / (x1 - x0);
      return this.frame.left + this.frame.width * share;
    }
    py(y) { return this.frame.top + this.frame.height * (1 - (y - this.range.y0) / (this.range.y1 - this.range.y0)); }
    unpx(px) {
      const share = (px - this.frame.left) / this.frame.width, { x0, x1 } = this.range;
      return state.log ? x0 * (x1 / x0) ** share : x0 + (x1 - x0) * share;
    }
    unpy(py) { return this.range.y0 + (1 - (py - this.frame.top) / this.frame.height) * (this.range.y1 - this.range.y0); }

    drawAxes() {
      const { left, top, width, height } = this.frame, right = left + width, bottom = top + height, parts = [];
      for (const y of ticks(this.range.y0, this.range.y1, false, 6)) {
        const at = this.py(y).toFixed(1), text = y * 100;
        parts.push(svgElement("path", { class: "rule", d: `M${left},${at}H${right}` }));
        parts.push(svgElement("text", { class: "tick", x: left - 8, y: +at + 4, "text-anchor": "end" },
          Number.isInteger(Math.round(text * 100) / 100) ? text.toFixed(0) : text.toFixed(1)));
      }
      for (const x of ticks(this.range.x0, this.range.x1, state.log, Math.floor(width / 56))) {
        const at = this.px(x).toFixed(1);
        parts.push(svgElement("path", { class: "notch", d: `M${at},${bottom}v5` }));
        parts.push(svgElement("text", { class: "tick", x: at, y: bottom + 18, "text-anchor": "middle" }, tickText(this.cost, x)));
      }
      parts.push(svgElement("path", { class: "base", d: `M${left},${bottom}H${right}` }));
      parts.push(svgElement("text", { class: "axis-x", x: left + width / 2, y: bottom + 38, "text-anchor": "middle" },
        this.axisTitle + (state.log ? ", log₂" : "")));
      parts.push(svgElement("text", { class: "axis-y", x: left - 34, y: top - 10 }, "accuracy (%)"));
      this.axes.replaceChildren(...parts);
    }

    movePoints() {
      const taken = this.visible().filter((n) => n.best).map((n) => [this.px(n.x) - 5, this.py(n.y) - 5, this.px(n.x) + 5, this.py(n.y) + 5]);
      for (const n of this.nodes) {
        const shown = this.inside(n);
        n.node.classList.toggle("out", !shown);
        if (!shown) continue;
        n.node.setAttribute("transform", `translate(${this.px(n.x).toFixed(1)} ${this.py(n.y).toFixed(1)})`);
        if (n.label && !state.hidden.has(n.series)) this.placeLabel(n, taken);
      }
    }

    placeLabel(n, taken) {
      const width = 6.1 * n.label.textContent.length, x = this.px(n.x), y = this.py(n.y), { left, top, height } = this.frame;
      const right = left + this.frame.width;
      for (const [dx, dy, shift] of [[7, 13, 0], [-7, -6, 1], [0, 18, 0.5], [0, -9, 0.5], [9, 4, 0], [-9, 4, 1], [7, -6, 0], [-7, 13, 1]]) {
        const x0 = x + dx - shift * width, box = [x0 - 1, y + dy - 9, x0 + width + 1, y + dy + 2];
        if (box[0] < left - 4 || box[2] > right + 12 || box[1] < top - 12 || box[3] > top + height) continue;
        if (taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
        taken.push(box);
        n.label.setAttribute("x", (x0 - x).toFixed(1));
        n.label.setAttribute("y", dy);
        n.label.classList.remove("off");
        return;
      }
      n.label.classList.add("off");
    }

    drawLines() {
      const at = (x, y) => `${this.px(x).toFixed(1)},${this.py(y).toFixed(1)}`;
      for (const { frontier, band, line } of this.series) {
        frontier?.setAttribute("d", "M" + line.map((n) => at(n.x, n.y)).join("L"));
        const known_ = line.filter((n) => known(this.interval(n).low) && known(this.interval(n).high));
        if (!band || !known_.length) continue;
        const edge = [...known_.map((n) => at(n.x, this.interval(n).high)), ...known_.reverse().map((n) => at(n.x, this.interval(n).low))];
        band.setAttribute("d", `M${edge.join("L")}z`);
      }
    }

    setZoom(range) {
      this.zoom = range;
      this.reset.hidden = !range;
      this.layout();
    }

    zoomBy(factor) {
      const { x0, x1, y0, y1 } = this.range, mid = this.current?.node.classList.contains("out") === false ? this.current : null;
      const cx = mid ? this.px(mid.x) : this.frame.left + this.frame.width / 2, cy = mid ? mid.y : (y0 + y1) / 2;
      const left = this.unpx(cx - (cx - this.frame.left) * factor), right = this.unpx(cx + (this.frame.left + this.frame.width - cx) * factor);
      const full = this.fullRange();
      this.setZoom({ x0: Math.max(left, full.x0), x1: Math.min(right, full.x1), y0: Math.max(cy - (cy - y0) * factor, full.y0),
        y1: Math.min(cy + (y1 - cy) * factor, full.y1) });
    }

    nearest(event, reach) {
      const [x, y] = this.position(event);
      let best = null, distance = reach;
      for (const n of this.visible()) {
        const d = Math.hypot(this.px(n.x) - x, this.py(n.y) - y) - (n.best ? 4 : 0);
        if (d < distance) best = n, distance = d;
      }
      return best;
    }

    position(event) {
      const box = this.svg.getBoundingClientRect(), view = this.svg.viewBox.baseVal;
      return [(event.clientX - box.left) * view.width / box.width, (event.clientY - box.top) * view.height / box.height];
    }

    select(n) {
      this.current = n;
      if (n) showDetails(n.node.dataset.point, n.node);
      else hideDetails();
    }

    /* Along a method by rising cost, or to the next method's nearest point. */
    step(key) {
      const shown = this.visible().filter((n) => n.best || this.current?.best === false).sort((a, b) => a.x - b.x);
      if (!shown.length) return;
      const now = this.current && shown.includes(this.current) ? this.current : null;
      if (!now) return this.select(shown[0]);
      const own = shown.filter((n) => n.series === now.series), at = own.indexOf(now);
      if (key === "ArrowRight") return this.select(own[Math.min(at + 1, own.length - 1)]);
      if (key === "ArrowLeft") return this.select(own[Math.max(at - 1, 0)]);
      if (key === "Home") return this.select(own[0]);
      if (key === "End") return this.select(own[own.length - 1]);
      const names = [...new Set(shown.map((n) => n.series))].sort(), turn = key === "ArrowUp" ? 1 : names.length - 1;
      const next = names[(names.indexOf(now.series) + turn) % names.length];
      const others = shown.filter((n) => n.series === next);
      this.select(others.reduce((a, b) => (Math.abs(this.px(b.x) - this.px(now.x)) < Math.abs(this.px(a.x) - this.px(now.x)) ? b : a)));
    }

    listen() {
      const { svg } = this;
      svg.addEventListener("keydown", (event) => {
        if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") this.step(event.key);
        else if (event.key === "+" || event.key === "=") this.zoomBy(0.6);
        else if (event.key === "-") this.zoomBy(1 / 0.6);
        else if (event.key === "Escape" || event.key === "0") { this.select(null); this.setZoom(null); }
        else return;
        event.preventDefault();
      });
      svg.addEventListener("blur", () => this.select(null));
      svg.addEventListener("pointerleave", () => { if (!this.brush && document.activeElement !== svg) this.select(null); });
      svg.addEventListener("pointermove", (event) => (this.brush ? this.moveBrush(event) : this.hover(event)));
      svg.addEventListener("pointerdown", (event) => { if (event.button === 0) this.startBrush(event); });
      svg.addEventListener("pointerup", (event) => this.endBrush(event));
      svg.addEventListener("pointercancel", () => this.dropBrush());
      svg.addEventListener("dblclick", () => this.setZoom(null));
    }

    hover(event) {
      const n = this.nearest(event, 18);
      if (n !== this.current) this.select(n);
    }

    startBrush(event) {
      const [x, y] = this.position(event);
      this.brush = { x, y, touch: event.pointerType === "touch", box: svgElement("rect", { class: "brush" }) };
      this.svg.append(this.brush.box);
      this.svg.setPointerCapture(event.pointerId);
    }

    brushRange(event) {
      const [x, y] = this.position(event), { left, top, width, height } = this.frame, { touch } = this.brush;
      const inX = (v) => Math.min(left + width, Math.max(left, v)), inY = (v) => Math.min(top + height, Math.max(top, v));
      return { x0: inX(Math.min(x, this.brush.x)), x1: inX(Math.max(x, this.brush.x)), y0: touch ? top : inY(Math.min(y, this.brush.y)),
        y1: touch ? top + height : inY(Math.max(y, this.brush.y)) };
    }

    moveBrush(event) {
      const { x0, x1, y0, y1 } = this.brushRange(event);
      for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) this.brush.box.setAttribute(key, value);
    }

    endBrush(event) {
      if (!this.brush) return;
      const { x0, x1, y0, y1 } = this.brushRange(event);
      this.dropBrush();
      if (x1 - x0 < 8 || y1 - y0 < 8) return this.select(this.nearest(event, 24));
      this.select(null);
      this.setZoom({ x0: this.unpx(x0), x1: this.unpx(x1), y0: this.unpy(y1), y1: this.unpy(y0) });
    }

    dropBrush() {
      this.brush?.box.remove();
      this.brush = null;
    }
  }

  document.documentElement.classList.add("live");
  const plots = all(".plot").map((svg) => new Plot(svg)).filter((plot) => plot.nodes.length);
  const layoutAll = () => plots.forEach((plot) => plot.layout());

  /* Cells of heat maps show the same details. */
  for (const cell of all(".cell")) {
    cell.addEventListener("pointerenter", () => showDetails(cell.dataset.point, cell));
    cell.addEventListener("pointerleave", hideDetails);
  }
  for (const title of all("svg title")) title.remove(); /* the details say more, sooner */

  /* ---- Switches ---- */

  function button(text, pressed, action, attributes = {}) {
    const node = element("button", { type: "button", "aria-pressed": pressed, ...attributes }, text);
    node.addEventListener("click", () => action(node));
    return node;
  }

  /* Buttons of which one is pressed. */
  function choice(label, options, chosen, action) {
    const group = element("span", { class: "choice", role: "group", "aria-label": label });
    for (const [value, text] of options)
      group.append(button(text, value === chosen, (node) => {
        for (const other of group.children) other.setAttribute("aria-pressed", other === node);
        action(value);
      }, { "data-value": value }));
    return group;
  }

  function methodSwitch(name, index) {
    const swatch = document.querySelector(`.legend [data-series="${index}"] svg`)?.cloneNode(true) ?? "";
    const node = button("", true, () => {
      const off = !state.hidden.delete(String(index));
      if (off) state.hidden.add(String(index));
      node.setAttribute("aria-pressed", !off);
      for (const part of all(`[data-series="${index}"]`)) if (!part.closest(".toolbar")) part.classList.toggle("hidden", off);
      hideDetails();
      layoutAll();
    }, { class: `m${index % 7}`, "data-method": name });
    node.append(swatch, name);
    return node;
  }

  function buildToolbar() {
    const bar = element("div", { class: "toolbar", role: "toolbar", "aria-label": "Plots" });
    const names = [...new Set([...data.methods.map((m) => m.name), ...points.map((p) => p.method)])];
    const methods = element("span", { class: "methods", role: "group", "aria-label": "Methods" });
    names.forEach((name, index) => methods.append(methodSwitch(name, index)));
    bar.append(methods);
    bar.append(choice("Cost axis", [["log", "log₂"], ["linear", "linear"]], "log", (value) => {
      state.log = value === "log";
      plots.forEach((plot) => { plot.zoom = null; plot.reset.hidden = true; });
      layoutAll();
    }));
    bar.append(button("95 % bands", true, (node) => {
      const on = document.documentElement.classList.toggle("no-bands");
      node.setAttribute("aria-pressed", !on);
    }, { "data-switch": "bands" }));
    bar.append(choice("Theme", [["auto", "auto"], ["light", "light"], ["dark", "dark"]], "auto", (value) => {
      if (value === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = value;
    }));
    document.querySelector("header").after(bar);
  }
  if (points.length) buildToolbar();

  /* ---- Threads ---- */

  function buildThreadFilter(section) {
    const threads = all(".thread", section), bar = element("div", { class: "filter", role: "group", "aria-label": "Threads shown" });
    const count = element("output", {}, "");
    const chosen = {};
    const apply = () => {
      let shown = 0;
      for (const thread of threads) {
        thread.hidden = !Object.entries(chosen).every(([key, value]) => !value || thread.dataset[key] === value);
        shown += !thread.hidden;
      }
      count.textContent = `${shown} of ${threads.length}`;
    };
    for (const key of ["task", "method", "problem", "outcome"]) {
      const select = element("select", { "aria-label": key, "data-filter": key }, element("option", { value: "" }, `every ${key}`));
      for (const value of new Set(threads.map((thread) => thread.dataset[key]))) select.append(element("option", { value }, value));
      select.addEventListener("change", () => { chosen[key] = select.value; apply(); });
      bar.append(select);
    }
    bar.append(count);
    threads[0].before(bar);
    apply();
  }
  const browser = document.querySelector(".threads");
  if (browser?.querySelector(".thread")) buildThreadFilter(browser);
})();
