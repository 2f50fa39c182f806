// Small charts as SVG, drawn anew when their place changes its size.

const SVG = "http://www.w3.org/2000/svg";
const [LEFT, RIGHT, TOP, BOTTOM] = [38, 10, 16, 34];
const LABELS = 10;

function shape(tag, attributes, words) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  return element;
}

// Steps of 1, 2 or 5 times a power of ten, about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) found.push(i * step);
  return found;
}

const drawn = new WeakMap();
const sizes = new ResizeObserver((entries) => entries.forEach((entry) => drawn.get(entry.target)?.()));

// x, y: [low, high]; gutters: pixels left free beside the x axis; draw(add, sx, sy): what is in it.
function chart(place, { x, y, label, show = String, gutters = [0, 0], draw, alt }) {
  const render = () => {
    const [width, height] = [place.clientWidth, place.clientHeight];
    if (!width || !height) return;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": alt });
    const add = (tag, attributes, words) => svg.append(shape(tag, attributes, words));
    const [left, right, bottom] = [LEFT + gutters[0], width - RIGHT - gutters[1], height - BOTTOM];
    const sx = (value) => left + ((value - x[0]) / (x[1] - x[0] || 1)) * (right - left);
    const sy = (value) => bottom - ((value - y[0]) / (y[1] - y[0] || 1)) * (bottom - TOP);
    for (const tick of ticks(y[0], y[1], height > 180 ? 5 : 4)) {
      add("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: sy(tick), y2: sy(tick) });
      add("text", { x: LEFT - 6, y: sy(tick) + 4, "text-anchor": "end" }, show(tick));
    }
    for (const tick of ticks(x[0], x[1], width > 500 ? 8 : 4).filter(Number.isInteger)) {
      add("text", { x: sx(tick), y: bottom + 14, "text-anchor": "middle" }, tick);
    }
    add("text", { x: (left + right) / 2, y: height - 3, "text-anchor": "middle" }, label);
    draw(add, sx, sy, { left, right, bottom, width });
    place.replaceChildren(svg);
  };
  drawn.set(place, render);
  sizes.observe(place);
  render();
}

// Points of a line, in pieces where values are missing.
function pieces(xs, ys, sx, sy) {
  const found = [[]];
  xs.forEach((x, i) => {
    if (ys[i] === null) found.push([]);
    else found.at(-1).push(`${sx(x).toFixed(1)},${sy(ys[i]).toFixed(1)}`);
  });
  return found.filter((piece) => piece.length).map((piece) => (piece.length > 1 ? piece : [...piece, ...piece])); // a dot
}

const percent = (value) => Math.round(100 * value);

export function successChart(place, curve, before, after) {
  const gutter = (share) => (share.episodes ? 46 : 0);
  chart(place, {
    x: [1, Math.max(curve.grasps, 2)], y: [0, 1], show: percent,
    gutters: [gutter(before), gutter(after)],
    label: "grasps while learning (exploration noise on)",
    alt: `success over ${curve.grasps} grasps, in percent; before ${before.text}, after ${after.text}`,
    draw(add, sx, sy, { left, right, width }) {
      bar(add, sy, before, "before", left - 26);
      bar(add, sy, after, "after", right + 28);
      const upper = pieces(curve.at, curve.high, sx, sy).flat();
      const lower = pieces(curve.at, curve.low, sx, sy).flat().reverse();
      add("polygon", { class: "band", points: [...upper, ...lower].join(" ") });
      const stride = Math.max(1, Math.ceil(curve.swaps.length / Math.min(LABELS, Math.floor(width / 50))));
      curve.swaps.forEach(([grasp, version], i) => {
        add("line", { class: "swap", x1: sx(grasp + 0.5), x2: sx(grasp + 0.5), y1: sy(0), y2: sy(1) });
        if (i % stride === 0) add("text", { x: sx(grasp + 0.5), y: TOP - 6, "text-anchor": "middle" }, `v${version}`);
      });
      for (const points of pieces(curve.at, curve.rate, sx, sy)) add("polyline", { class: "line", points: points.join(" ") });
      curve.outcomes.forEach((hit, i) => {
        const [x, y] = [sx(i + 1), hit ? sy(1) : sy(0)];
        add("line", { class: hit ? "hit" : "miss", x1: x, x2: x, y1: y - (hit ? 0 : 5), y2: y + (hit ? 5 : 0) });
      });
    },
  });
}

// A measurement with its interval, beside the curve.
function bar(add, sy, share, kind, x) {
  if (!share.episodes) return;
  const marks = [[x, x, share.low, share.high], [x - 6, x + 6, share.low, share.low], [x - 6, x + 6, share.high, share.high]];
  for (const [x1, x2, y1, y2] of marks) add("line", { class: `${kind} error`, x1, x2, y1: sy(y1), y2: sy(y2) });
  add("circle", { class: kind, cx: x, cy: sy(share.rate), r: 4 });
  add("text", { x, y: sy(0) + 14, "text-anchor": "middle" }, kind);
}

export function lineChart(place, xs, ys, { label, y, show, swaps = [] }) {
  const known = ys.filter((value) => value !== null);
  const range = y ?? [Math.min(...known), Math.max(...known)];
  if (!xs.length || !known.length) {
    drawn.delete(place);
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "note", textContent: "nothing yet" }));
    return;
  }
  chart(place, {
    x: [xs[0], Math.max(xs.at(-1), xs[0] + 1)], y: range, show, label,
    alt: `${label}: from ${known[0]} to ${known.at(-1)}`,
    draw(add, sx, sy) {
      for (const grasp of swaps) add("line", { class: "swap", x1: sx(grasp), x2: sx(grasp), y1: sy(range[0]), y2: sy(range[1]) });
      for (const points of pieces(xs, ys, sx, sy)) add("polyline", { class: "line", points: points.join(" ") });
    },
  });
}
