"use strict";
(() => {
  const { losses, colours } = JSON.parse(document.getElementById("curves").textContent);
  const SHOWN = [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99];
  const CHARTS = { value: { cap: 8 }, gradient: { cap: 6 }, gain: { cap: 6 } };
  const STEPS = 200;
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [340, 250, 38, 8, 8, 34];

  const unpack = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  };
  const svg = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const html = (tag, attributes, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const short = (x) => (Number.isFinite(x) ? String(Number(x.toPrecision(3))) : "–");

  for (const [i, loss] of losses.entries()) {
    loss.hue = `var(--${colours[i % colours.length]})`;
    for (const name of Object.keys(loss.lines)) loss.lines[name] = unpack(loss.lines[name]);
    loss.q = loss.margins.map((x) => 1 / (1 + Math.exp(x)));
    for (const knob of loss.knobs) knob.now = knob.value;
  }

  // The places of a grid around a value, each with its weight: a cubic through four of them, so
  // that few places are enough for a smooth parameter; at a place, that place alone.
  const weights = (knob) => {
    const turned = knob.scale === "log" ? Math.log : (v) => v;
    const grid = knob.grid.map(turned);
    const x = turned(knob.now);
    const exact = knob.grid.indexOf(knob.now);
    if (exact >= 0) return [[exact, 1]];
    const [low] = place(grid, x);
    const count = Math.min(4, grid.length);
    const first = Math.min(Math.max(low - 1, 0), grid.length - count);
    const near = Array.from({ length: count }, (_, i) => first + i);
    return near.map((i) => [i, near.reduce(
      (w, j) => (j === i ? w : (w * (x - grid[j])) / (grid[i] - grid[j])), 1)]);
  };
  // Where a value is on a rising grid: the place below it, and how far on to the next.
  const place = (grid, x) => {
    let low = 0;
    while (low < grid.length - 2 && grid[low + 1] <= x) low += 1;
    const part = (x - grid[low]) / (grid[low + 1] - grid[low]);
    return [low, Math.min(Math.max(part, 0), 1)];
  };
  // One slider after the other: the curves at its places nearby become one.
  const mixed = (loss, name, depth, cell) => {
    const points = loss.p.length;
    if (depth === loss.knobs.length) return loss.lines[name].subarray(cell * points, (cell + 1) * points);
    const knob = loss.knobs[depth];
    const near = weights(knob);
    const curves = near.map(([i]) => mixed(loss, name, depth + 1, cell * knob.grid.length + i));
    if (near.length === 1) return curves[0];
    return Float64Array.from({ length: points }, (_, n) =>
      near.reduce((total, [, weight], k) => total + weight * curves[k][n], 0));
  };
  // The gradient is the gain by 1 - p, and so is what is between its places.
  const curve = (loss, name, side) => (name === "gradient"
    ? Float64Array.from(mixed(loss, "gain", 0, side), (gain, n) => gain * loss.q[n])
    : mixed(loss, name, 0, side));
  const at = (xs, ys, x) => {
    const [low, part] = place(xs, x);
    return ys[low] + part * (ys[low + 1] - ys[low]);
  };

  const ticks = (low, high, count) => {
    const raw = (high - low) / count;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= raw);
    const found = [];
    for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(t);
    return found;
  };
  const axis = () => document.querySelector("input[name=axis]:checked").value;
  const dashes = ["", "7 4"];

  const draw = (name) => {
    const by = axis();
    const drawn = losses.flatMap((loss) =>
      loss.sides.map((_, side) => ({ loss, side, xs: loss[by], ys: curve(loss, name, side) })));
    const [left, right] = by === "p" ? [0, 1] : [-8, 8];
    let [low, high] = [0, 1e-6];
    for (const { loss, ys } of drawn) {
      ys.forEach((y, i) => {
        if (loss.p[i] < 0.01 || loss.p[i] > 0.99 || !Number.isFinite(y)) return;
        [low, high] = [Math.min(low, y), Math.max(high, y)];
      });
    }
    low = Math.max(low, -CHARTS[name].cap);
    high = Math.min(high, CHARTS[name].cap) * 1.06;
    const x = (v) => LEFT + ((v - left) / (right - left)) * (WIDTH - LEFT - RIGHT);
    const y = (v) => HEIGHT - BOTTOM - ((v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const title = document.getElementById(`chart-${name}`).parentElement.firstElementChild.textContent;
    const words = drawn.map(({ loss, side, ys }) => `${loss.name} ${loss.sides[side]}: ${
      [0.1, 0.5, 0.9].map((p) => `${short(at(loss.p, ys, p))} at ${p}`).join(", ")}`).join("; ");
    const made = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${words}` });
    for (const t of ticks(low, high, 5)) {
      made.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(t), y2: y(t) }));
      made.append(svg("text", { x: LEFT - 5, y: y(t) + 4, "text-anchor": "end" }, short(t)));
    }
    for (const t of ticks(left, right, 4)) {
      made.append(svg("text", { x: x(t), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, short(t)));
    }
    if (name === "gain" && high > 1) {
      made.append(svg("line", { class: "one", x1: LEFT, x2: WIDTH - RIGHT, y1: y(1), y2: y(1) }));
    }
    const label = by === "p" ? "p of the truth" : "logit margin";
    made.append(svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, label));
    const clip = `clip-${name}`;
    const window = svg("clipPath", { id: clip });
    window.append(svg("rect", { x: LEFT, y: TOP - 4, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM + 6 }));
    made.append(window);
    for (const { loss, side, xs, ys } of drawn) {
      let path = "";
      let pen = "M";
      ys.forEach((v, i) => {
        if (!Number.isFinite(v)) { pen = "M"; return; }
        const height = Math.max(Math.min(y(v), 4 * HEIGHT), -3 * HEIGHT);
        path += `${pen}${x(xs[i]).toFixed(1)} ${height.toFixed(1)}`;
        pen = "L";
      });
      made.append(svg("path", { class: "line", d: path, style: `stroke:${loss.hue}`,
        "stroke-dasharray": dashes[side], "clip-path": `url(#${clip})` }));
    }
    document.getElementById(`chart-${name}`).replaceChildren(made);
  };

  const label = (loss, side) => (loss.sides.length > 1 ? `${loss.name}, ${loss.sides[side]}` : loss.name);
  const tabulate = () => {
    const head = html("tr", {}, html("th", {}, "p of the truth"), ...SHOWN.map((p) => html("th", {}, String(p))));
    const rows = losses.flatMap((loss) => loss.sides.map((_, side) => {
      const ys = curve(loss, "gain", side);
      const moved = loss.knobs.map((knob) => `${knob.label} = ${short(knob.now)}`).join(", ");
      const name = html("th", {}, label(loss, side));
      if (moved) name.append(html("br", {}), html("small", {}, moved));
      return html("tr", {}, name, ...SHOWN.map((p) => html("td", {}, short(at(loss.p, ys, p)))));
    }));
    document.getElementById("numbers").replaceChildren(html("thead", {}, head), html("tbody", {}, ...rows));
  };
  const show = () => {
    Object.keys(CHARTS).forEach(draw);
    tabulate();
  };

  // A slider counts steps, or places of the grid where nothing is between them that can be shown.
  const ends = (knob) => [knob.grid[0], knob.grid[knob.grid.length - 1]];
  const toValue = (knob, step) => {
    if (knob.stepped) return knob.grid[step];
    const [low, high] = ends(knob);
    const part = step / STEPS;
    const value = knob.scale === "log" ? low * (high / low) ** part : low + (high - low) * part;
    return Number(value.toPrecision(4));
  };
  const toStep = (knob, value) => {
    if (knob.stepped) {
      const far = knob.grid.map((v) => Math.abs(v - value));
      return far.indexOf(Math.min(...far));
    }
    const [low, high] = ends(knob);
    const part = knob.scale === "log" ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return Math.round(STEPS * Math.min(Math.max(part, 0), 1));
  };
  const key = (i, knob) => `${i}.${knob.label}`;
  const sliders = [];
  const set = (entry, value) => {
    entry.knob.now = value;
    entry.input.value = toStep(entry.knob, value);
    entry.output.textContent = short(value);
    entry.input.setAttribute("aria-valuetext", short(value));
  };
  const remember = () => {
    const moved = sliders.filter(({ knob }) => knob.now !== knob.value);
    const text = moved.map(({ id, knob }) => `${encodeURIComponent(id)}=${knob.now}`).join("&");
    try { history.replaceState(null, "", `#${text}`); } catch { /* a page that may not have one */ }
  };
  for (const [i, loss] of losses.entries()) {
    if (!loss.knobs.length) continue;
    const group = html("fieldset", { style: `--hue:${loss.hue}` }, html("legend", {}, html("code", { style: `color:${loss.hue}` }, loss.name)));
    for (const [j, knob] of loss.knobs.entries()) {
      const id = `knob-${i}-${j}`;
      const input = html("input", { type: "range", id, min: 0, step: 1, "aria-describedby": `${id}-effect`,
        max: knob.stepped ? knob.grid.length - 1 : STEPS });
      const output = html("output", { for: id });
      const entry = { id: key(i, knob), knob, input, output };
      input.addEventListener("input", () => {
        set(entry, toValue(knob, Number(input.value)));
        show();
      });
      input.addEventListener("change", remember);
      group.append(html("div", { class: "knob" }, html("label", { for: id }, knob.label), output, input,
        html("small", { id: `${id}-effect` }, knob.effect)));
      sliders.push(entry);
    }
    document.getElementById("sliders").append(group);
  }
  const fromFragment = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const entry of sliders) {
      const given = wanted.get(entry.id) ?? wanted.get(entry.knob.label);
      const [low, high] = ends(entry.knob);
      const value = given === null || given === "" ? NaN : Number(given);
      const inside = Number.isFinite(value) ? Math.min(Math.max(value, low), high) : entry.knob.value;
      set(entry, entry.knob.stepped ? toValue(entry.knob, toStep(entry.knob, inside)) : inside);
    }
    show();
  };
  document.querySelector("form").addEventListener("reset", (event) => {
    event.preventDefault();
    for (const entry of sliders) set(entry, entry.knob.value);
    remember();
    show();
  });
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  for (const input of document.querySelectorAll("input[name=axis]")) input.addEventListener("change", show);
  addEventListener("hashchange", fromFragment);

  for (const loss of losses) {
    loss.sides.forEach((_, side) => {
      const line = svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
      line.append(svg("path", { d: "M1 4H25", style: `stroke:${loss.hue};stroke-width:3`, "stroke-dasharray": dashes[side] }));
      document.getElementById("keys").append(html("span", { class: "key" }, line, html("code", {}, label(loss, side))));
    });
  }
  fromFragment();
})();
