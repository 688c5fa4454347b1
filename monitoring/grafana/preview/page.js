// Draws one dashboard from what Prometheus answered: the preview of monitoring/grafana/preview/draw. `BOARD` is put before this file.
"use strict";

const CELL = { width: 62, height: 34 };
const PALETTE = ["#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#f2495c", "#8ab8ff", "#ffb357", "#96d98d", "#ca95e5", "#fade2a", "#c0d8ff"];
const hex = (text) => "#" + (text.match(/\d+/g) ?? []).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("");
const COLOURS = { green: "#73bf69", orange: "#ff9830", red: "#f2495c", blue: "#5794f2", purple: "#b877d9", gray: "#8e8e99", text: "#ccccdc" };

const seconds = (value) => {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${short(value * 1e6)} µs`;
  if (size < 1) return `${short(value * 1e3)} ms`;
  if (size < 120) return `${short(value)} s`;
  if (size < 7200) return `${short(value / 60)} min`;
  return size < 172800 ? `${short(value / 3600)} h` : `${short(value / 86400)} d`;
};
const fromNow = (left) => (left < 0 ? `${seconds(-left)} ago` : `in ${seconds(left)}`);
const digits = (value, decimals) => (decimals === undefined ? String(+value.toPrecision(3)) : value.toFixed(decimals));
function short(value, decimals) {
  const steps = [[1e9, " G"], [1e6, " M"], [1e3, " k"]];
  const step = steps.find(([size]) => Math.abs(value) >= size);
  return step ? digits(value / step[0], decimals) + step[1] : digits(value, decimals);
}
function bytes(value) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.abs(value) || 1) / 10)));
  return `${digits(value / 1024 ** step)} ${names[step]}`;
}
const SUFFIX = { cps: "c/s", ops: "ops/s", rps: "rec/s", cpm: "c/m", h: "h", none: "" };
function told(value, unit, decimals) {
  if (unit === "s") return seconds(value);
  if (unit === "percentunit") return `${digits(value * 100, decimals)} %`;
  if (unit === "percent") return `${digits(value, decimals)} %`;
  if (unit === "bytes") return bytes(value);
  if (unit === "Bps") return `${bytes(value)}/s`;
  if (unit === "bool_yes_no") return value ? "yes" : "no";
  if (unit === "dateTimeFromNow") return fromNow(value / 1000 - Date.now() / 1000);
  return `${short(value, decimals)} ${SUFFIX[unit] ?? ""}`.trim();
}
const named = (series) => series.legend.replace(/\{\{(\w+)\}\}/g, (_, label) => series.labels[label] ?? "").trim() || JSON.stringify(series.labels);
const newest = (series) => Number(series.values[series.values.length - 1][1]);
const defaults = (panel) => panel.fieldConfig?.defaults ?? {};
function colour(panel, value) {
  const steps = defaults(panel).thresholds?.steps ?? [];
  const step = steps.filter((s) => s.value === null || s.value === undefined || value >= s.value).pop();
  return COLOURS[step?.color] ?? COLOURS.green;
}
function mapping(panel, value) {
  const found = defaults(panel).mappings?.[0]?.options?.[String(value)];
  return found && { text: found.text, colour: COLOURS[found.color] ?? found.color };
}
function element(parent, name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

// Series over the same times, as uPlot wants them.
function aligned(list) {
  const times = [...new Set(list.flatMap((series) => series.values.map(([time]) => time)))].sort((a, b) => a - b);
  const columns = list.map((series) => {
    const at = new Map(series.values.map(([time, value]) => [time, Number(value)]));
    return times.map((time) => (Number.isFinite(at.get(time)) ? at.get(time) : null));
  });
  return [times, ...columns];
}

function limitsOf(panel) {
  if ((defaults(panel).custom?.thresholdsStyle?.mode ?? "off") === "off") return [];
  return (defaults(panel).thresholds?.steps ?? []).filter((step) => step.value !== null && step.value !== undefined);
}

function drawLimits(plot, panel) {
  for (const step of limitsOf(panel)) {
    const y = plot.valToPos(step.value, "y", true);
    if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) continue;
    plot.ctx.save();
    plot.ctx.strokeStyle = COLOURS[step.color];
    plot.ctx.setLineDash([8, 6]);
    plot.ctx.beginPath();
    plot.ctx.moveTo(plot.bbox.left, y);
    plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
    plot.ctx.stroke();
    plot.ctx.restore();
  }
}

function timeseries(box, panel, width, height) {
  const list = panel.series.slice(0, 24);
  const { unit, min, max } = defaults(panel);
  const log = defaults(panel).custom?.scaleDistribution?.type === "log";
  const lines = list.map((series, place) => ({ label: named(series), stroke: PALETTE[place % PALETTE.length], width: 1.2, fill: log ? undefined : `${PALETTE[place % PALETTE.length]}14`, spanGaps: true }));
  const axis = { stroke: "#8e8e99", grid: { stroke: "#24272d", width: 1 }, ticks: { show: false }, font: "11px DejaVu Sans" };
  const range = (plot, least, most) => {
    if (log) return [Math.max(least || 1e-6, 1e-6), most || 1];
    const low = Math.min(min ?? least, least);
    const high = max !== undefined ? Math.max(max, most) : most * 1.08;
    return [low < 0 ? low * 1.1 : low, high <= low ? low + 1 : high];
  };
  new uPlot({
    width, height: height - 60, legend: { show: false }, cursor: { show: false },
    series: [{}, ...lines], scales: { y: { distr: log ? 3 : 1, range } },
    axes: [{ ...axis, space: 70, size: 26, values: (_, ticks) => ticks.map((tick) => new Date(1000 * tick).toTimeString().slice(0, 8)) }, { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : told(tick, unit))) }],
    hooks: { draw: [(plot) => drawLimits(plot, panel)] },
  }, aligned(list), box);
  const legend = element(box, "div", "legend");
  for (const line of lines) {
    const entry = element(legend, "span");
    element(entry, "i").style.background = line.stroke;
    entry.append(line.label);
  }
}

function stat(box, panel, width, height) {
  const { unit, decimals } = defaults(panel);
  const value = newest(panel.series[0]);
  const meaning = mapping(panel, value);
  const big = element(box, "div", "big", meaning?.text ?? told(value, unit, decimals));
  big.style.color = meaning?.colour ?? colour(panel, value);
  big.style.fontSize = `${Math.min(34, Math.max(20, height / 4))}px`;
  big.style.marginTop = `${Math.max(2, (height - 40) / 2 - 34)}px`;
  if (panel.options?.graphMode === "none" || panel.series[0].values.length < 2) return;
  const holder = element(box, "div");
  holder.style.cssText = "position:absolute;bottom:0;left:0";
  const stroke = hex(big.style.color);
  new uPlot({ width, height: Math.max(24, height / 3), legend: { show: false }, cursor: { show: false }, axes: [{ show: false }, { show: false }], padding: [2, 0, 0, 0],
    scales: { y: { range: (_, least, most) => [Math.min(0, least), most > least ? most * 1.1 : most + 1] } },
    series: [{}, { stroke, width: 1, fill: `${stroke}22` }] }, aligned(panel.series.slice(0, 1)), holder);
}

function bargauge(box, panel) {
  const { unit, decimals } = defaults(panel);
  const list = [...panel.series].sort((a, b) => newest(b) - newest(a)).slice(0, 10);
  const most = Math.max(...list.map(newest), 1e-9);
  for (const series of list) {
    const line = element(box, "div", "bar");
    element(line, "b", "", named(series));
    const bar = element(element(line, "div"), "div");
    bar.style.width = `${(100 * newest(series)) / most}%`;
    bar.style.background = colour(panel, newest(series));
    element(line, "em", "", told(newest(series), unit, decimals));
  }
}

function table(box, panel) {
  const renamed = panel.transformations?.find((step) => step.id === "organize")?.options.renameByName ?? {};
  const hidden = panel.transformations?.find((step) => step.id === "organize")?.options.excludeByName ?? {};
  const rows = new Map();
  const labels = [...new Set(panel.series.flatMap((series) => Object.keys(series.labels)))].filter((label) => !hidden[label]).sort();
  for (const series of panel.series) {
    const key = ["instance", "component", "consumergroup", "topic", "partition"].map((label) => series.labels[label]).join("|");
    const row = rows.get(key) ?? { labels: {}, values: {} };
    Object.assign(row.labels, series.labels);
    const heading = renamed[`Value #${series.ref}`] ?? renamed.Value;
    if (heading) row.values[heading] = newest(series);
    rows.set(key, row);
  }
  const headings = Object.values(renamed);
  const units = Object.fromEntries((panel.fieldConfig.overrides ?? []).map((o) => [o.matcher.options, Object.fromEntries(o.properties.map((p) => [p.id, p.value]))]));
  const made = element(box, "table");
  const head = element(made, "tr");
  for (const text of [...labels, ...headings]) element(head, "th", "", text);
  for (const row of [...rows.values()].slice(0, 8)) {
    const line = element(made, "tr");
    for (const label of labels) element(line, "td", "", row.labels[label] ?? "");
    for (const heading of headings) {
      const value = row.values[heading];
      element(line, "td", "", value === undefined ? "" : told(value, units[heading]?.unit ?? defaults(panel).unit, units[heading]?.decimals));
    }
  }
}

function heatmap(box, panel, width, height) {
  const unit = panel.options.yAxis.unit;
  const edge = (series) => (series.labels.le === "+Inf" ? Infinity : Number(series.labels.le));
  const list = [...panel.series].sort((a, b) => edge(a) - edge(b));
  const [times, ...columns] = aligned(list);
  const counts = columns.map((column, place) => column.map((value, at) => Math.max(0, (value ?? 0) - (place ? columns[place - 1][at] ?? 0 : 0))));
  const most = Math.max(...counts.flat(), 1e-9);
  const canvas = element(box, "canvas");
  const plot = { left: 70, top: 6, width: width - 84, height: height - 62 };
  canvas.width = width;
  canvas.height = height - 34;
  const paint = canvas.getContext("2d");
  paint.font = "11px DejaVu Sans";
  counts.forEach((row, place) => row.forEach((count, at) => {
    if (!count) return;
    paint.fillStyle = `rgba(87,148,242,${0.15 + 0.85 * (count / most)})`;
    const high = plot.height / counts.length;
    paint.fillRect(plot.left + (at * plot.width) / times.length, plot.top + plot.height - (place + 1) * high, plot.width / times.length - 1, high - 1);
  }));
  paint.fillStyle = "#8e8e99";
  paint.textAlign = "right";
  list.forEach((series, place) => {
    const every = Math.ceil(list.length / 8);
    if (place % every === 0) paint.fillText(edge(series) === Infinity ? "∞" : told(edge(series), unit), plot.left - 6, plot.top + plot.height - (place * plot.height) / list.length);
  });
  paint.textAlign = "center";
  for (const share of [0.1, 0.5, 0.9]) {
    const time = new Date(1000 * times[Math.floor(share * (times.length - 1))]);
    paint.fillText(time.toTimeString().slice(0, 8), plot.left + share * plot.width, plot.top + plot.height + 16);
  }
}

function timeline(box, panel) {
  for (const series of panel.series.slice(0, 5)) {
    const line = element(box, "div", "band");
    element(line, "b", "", named(series));
    const bands = element(line, "div");
    let last = null;
    for (const [, value] of series.values) {
      if (last && last.value === value) { last.count += 1; last.made.style.flexGrow = last.count; continue; }
      const meaning = mapping(panel, value) ?? { text: value, colour: COLOURS.gray };
      const made = element(bands, "i", "", meaning.text);
      made.style.cssText = `flex:1 1 0;background:${meaning.colour}`;
      last = { value, count: 1, made };
    }
  }
}

const DRAW = { timeseries, stat, bargauge, table, heatmap, "state-timeline": timeline };

function draw() {
  const header = element(document.body, "header");
  element(header, "h1", "", BOARD.title);
  element(header, "p", "", `${BOARD.description} Preview drawn from the dashboard's JSON and live data; not a picture of Grafana.`);
  const main = element(document.body, "main");
  let bottom = 0;
  for (const panel of BOARD.panels) {
    const { x, y, w, h } = panel.gridPos;
    const [width, height] = [w * CELL.width - 8, h * CELL.height - 6];
    const box = element(main, "div", panel.type === "row" ? "row" : "panel");
    box.style.cssText = `left:${x * CELL.width}px;top:${y * CELL.height}px;width:${width}px;height:${height}px`;
    bottom = Math.max(bottom, (y + h) * CELL.height);
    if (panel.type === "row") { box.textContent = `▾ ${panel.title}`; continue; }
    element(box, "h2", "", panel.title);
    panel.series = panel.series.filter((series) => series.values.some(([, value]) => Number.isFinite(Number(value))));
    if (panel.series.length) DRAW[panel.type](box, panel, width, height);
    else element(box, "div", "nothing", defaults(panel).noValue ?? "No data");
  }
  main.style.cssText = `width:${24 * CELL.width}px;height:${bottom}px`;
}
draw();
