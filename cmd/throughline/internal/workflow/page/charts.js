// ---- the timeline: a lane for each function. All bars of a kind are one path, so that thousands are as fast as ten.

const SVG = 'http://www.w3.org/2000/svg';
function svg(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  if (text !== undefined) node.textContent = text;
  return node;
}
const tenth = (n) => Math.round(n * 10) / 10; // toFixed is slow, and this runs for every bar
// short shortens a long name in its middle, because names often differ at the end.
const short = (text, most) => text.length > most ? text.slice(0, Math.ceil(most * 0.6) - 1) + '…' + text.slice(-Math.floor(most * 0.4)) : text;
let view, bars, lanes, area;

function charts(keep) {
  view = keep || (doc ? [0, Math.max(doc.duration_ms, 0.1)] : [0, 1]);
  bars = [];
  const names = [];
  const bad = new Set(nodes.map((n, i) => failed(n) ? n.same_as ?? i : -1)); // of a batch, at any of its places
  nodes.forEach((n, i) => {
    if (!n.span || n.same_as !== undefined) return;
    let lane = names.indexOf(n.span.function);
    if (lane < 0) lane = names.push(n.span.function) - 1;
    bars.push({ i, lane, from: n.span.offset_ms, to: n.span.offset_ms + n.span.duration_ms, kind: n.kind === 'event' ? 'publish' : n.kind === 'hop' ? failed(n) && !n.failed_messages ? 'error' : 'hop' : bad.has(i) ? 'error' : n.repeat ? 'repeat' : n.loop ? 'repeat' : n.kind === 'call' ? 'call' : 'handle' });
  });
  bars.sort((a, b) => a.from - b.from);
  lanes = names.map((name) => ({ name, rows: [], top: 0 }));
  drawTimeline();
  drawPlots();
}

let above = 0; // room for a lane's name above its bars, if there is none beside them

// pack gives each bar a row of its lane in which it covers no other bar, as far as there
// are rows.
function pack(perPixel) {
  const most = bars.length < 800 ? 18 : lanes.length > 7 ? 4 : 6; // with some hundred bars, concurrent handlings are next to each other
  for (const lane of lanes) lane.rows = [];
  for (const b of bars) {
    if (isPoint(b) || b.kind === 'call') continue;
    const rows = lanes[b.lane].rows, end = Math.max(b.to, b.from + 3 * perPixel);
    let k = rows.findIndex((until) => until <= b.from);
    if (k < 0) k = rows.length < most ? rows.length : rows.indexOf(Math.min(...rows));
    rows[k] = Math.max(rows[k] || 0, end);
    b.row = k;
  }
  let top = 4;
  for (const lane of lanes) {
    lane.top = top;
    lane.height = Math.max(1, lane.rows.length) * 9 + 16 + above;
    top += lane.height;
  }
  return top;
}
const isPoint = (b) => nodes[b.i].kind === 'event' || nodes[b.i].kind === 'hop';
const barTop = (b) => lanes[b.lane].top + above + 12 + (b.row || 0) * 9;
const pin = (b) => lanes[b.lane].top + above + 6;

let drawing = 0;
function drawTimeline() { if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; drawTimelineNow(); }); }
function drawTimelineNow() {
  const box = $('lanes');
  if (!bars || !bars.length) { box.replaceChildren(make('p', { class: 'empty' }, 'No span has a time.')); return; }
  const width = box.clientWidth || 480, left = width < 560 ? 14 : Math.min(190, width * 0.22), right = width - 16, span = view[1] - view[0];
  above = width < 560 ? 15 : 0;
  const height = pack((doc.duration_ms || 1) / (right - left)) + 4;
  const x = (t) => left + (t - view[0]) / span * (right - left);
  area = { left, right, x, at: (px) => view[0] + (px - left) / (right - left) * span, height };
  const root = svg('svg', { width, height, 'aria-hidden': 'true' });
  const clip = svg('clipPath', { id: 'clip' });
  clip.append(svg('rect', { x: left - 4, y: 0, width: right - left + 8, height }));
  root.append(clip);
  const axis = svg('svg', { width, height: 22, 'aria-hidden': 'true' });
  for (const t of ticks(view[0], view[1], (right - left) / 110)) {
    root.append(svg('line', { x1: x(t), x2: x(t), y1: 0, y2: height, class: 'grid' }));
    axis.append(svg('text', { x: x(t), y: 15, class: 'soft', 'text-anchor': x(t) > right - 30 ? 'end' : x(t) < 30 ? 'start' : 'middle' }, '+' + took(t)));
  }
  lanes.forEach((lane, k) => {
    if (k) root.append(svg('line', { x1: 0, x2: width, y1: lane.top, y2: lane.top, class: 'grid' }));
    const text = svg('text', { x: 14, y: lane.top + (above ? 13 : 16), class: 'lane' }, short(lane.name, Math.floor((above ? width - 28 : left - 14) / 6.6)));
    text.append(svg('title', {}, lane.name));
    root.append(text);
  });
  const g = svg('g', { 'clip-path': 'url(#clip)' }), d = { handle: '', repeat: '', error: '', call: '', publish: '', hop: '', failed: '' };
  const byNode = new Map(), searching = hits && hits.length > 0;
  const links = { link: '', left: '', joined: '', inferred: '' }, near = { link: '', left: '', joined: '', inferred: '' };
  let marked = '', on = '';
  for (const b of bars) byNode.set(b.i, b);
  for (const b of bars) {
    const n = nodes[b.i];
    if (n.kind !== 'handling' || n.parent < 0) continue;
    const cause = byNode.get(n.parent) || byNode.get(nodes[n.parent].parent); // the event or hop of a handling, or the handling whose result it received
    if (!cause || cause.from > view[1] && b.from > view[1] || b.from < view[0]) continue;
    const x1 = x(cause.to), y1 = isPoint(cause) ? pin(cause) : barTop(cause) + 3, x2 = x(b.from), y2 = barTop(b) + 3, bend = Math.min(90, Math.max(14, (x2 - x1) / 2));
    const curve = `M${tenth(x1)} ${y1}C${tenth(x1 + bend)} ${y1} ${tenth(x2 - bend)} ${y2} ${tenth(x2)} ${y2}`;
    const kind = n.how === 'joined' || n.how === 'inferred' ? n.how : n.via && n.via !== 'bus' ? 'left' : 'link';
    if (b.i === selected || cause.i === selected) near[kind] += curve; else links[kind] += curve;
  }
  for (const b of bars) {
    if (b.to < view[0] && x(b.to) < left - 4 || b.from > view[1]) continue;
    const x1 = x(b.from), w = Math.max(3, x(b.to) - x1), point = isPoint(b);
    if (point) d[b.kind === 'error' ? 'failed' : b.kind] += `M${tenth(x1)} ${pin(b)}h0`;
    else { const y = b.kind === 'call' || nodes[b.i].kind === 'call' ? callTop(b, byNode) : barTop(b), h = nodes[b.i].kind === 'call' ? 2 : 7; d[b.kind] += `M${tenth(x1)} ${y}h${tenth(w)}v${h}h${tenth(-w)}z`; }
    const frame = point ? `M${tenth(x1 - 5)} ${pin(b) - 5}h10v10h-10z` : `M${tenth(x1 - 2)} ${barTop(b) - 2}h${tenth(w + 4)}v11h${tenth(-w - 4)}z`;
    if (b.i === selected) on += frame; else if (searching && isHit.has(b.i)) marked += frame;
  }
  const faint = Math.max(0.07, Math.min(0.5, 60 / Math.sqrt(bars.length * bars.length / 10 + 1)));
  for (const kind in links) g.append(svg('path', { d: links[kind], class: 'p-' + kind, 'stroke-opacity': faint.toFixed(3) }));
  for (const kind of ['handle', 'repeat', 'error', 'call', 'publish', 'hop', 'failed']) g.append(svg('path', { d: d[kind], class: 'p-' + kind, opacity: searching ? 0.45 : kind === 'handle' ? 0.85 : 1 }));
  for (const kind in near) g.append(svg('path', { d: near[kind], class: 'p-' + kind, 'stroke-width': 2 }));
  g.append(svg('path', { d: marked, class: 'p-hit' }), svg('path', { d: on, class: 'p-on' }));
  root.append(g);
  box.replaceChildren(root);
  $('axis').replaceChildren(axis);
  $('span').textContent = span < doc.duration_ms * 0.999 ? took(view[0]) + ' – ' + took(view[1]) : took(doc.duration_ms);
}
// A call is a thin line under the handling that made it.
function callTop(b, byNode) {
  const h = byNode.get(nodes[b.i].parent);
  b.row = h ? h.row : 0;
  return barTop(b) + 7;
}

function ticks(from, to, most) {
  const steps = [];
  for (let p = 0.1; p < 1e3; p *= 10) steps.push(p, 2 * p, 5 * p);
  steps.push(1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 1.2e5, 3e5, 6e5, 1.2e6, 1.8e6, 3.6e6, 7.2e6, 1.08e7, 2.16e7, 4.32e7, 8.64e7, 1.728e8, 6.048e8);
  const step = steps.find((s) => (to - from) / s <= most) || (to - from) / 4, list = [];
  for (let t = Math.ceil(from / step) * step; t <= to + step * 1e-6; t += step) list.push(t);
  return list;
}

function zoom(factor, around) {
  const all = Math.max(doc.duration_ms, 0.1), span = Math.min(all, Math.max(0.5, (view[1] - view[0]) * factor));
  const from = Math.max(0, Math.min(all - span, around - (around - view[0]) / (view[1] - view[0]) * span));
  view = [from, from + span];
  drawTimeline();
}
const middle = () => (view[0] + view[1]) / 2;
function pan(by) {
  const span = view[1] - view[0], from = Math.max(0, Math.min(doc.duration_ms - span, view[0] + by * span));
  view = [from, from + span];
  drawTimeline();
}
const whole = () => { view = [0, Math.max(doc.duration_ms, 0.1)]; drawTimeline(); };

function under(e) {
  const box = $('lanes').getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top + $('lanes').scrollTop;
  let best, least = 8;
  for (const b of bars) {
    const lane = lanes[b.lane];
    if (py < lane.top || py > lane.top + lane.height) continue;
    const x1 = area.x(b.from), x2 = Math.max(x1 + 3, area.x(b.to)), point = isPoint(b);
    const dx = point ? Math.abs(px - x1) : Math.max(x1 - px, px - x2, 0), y = point ? pin(b) : barTop(b) + 3.5, far = dx + Math.abs(py - y) * 0.9;
    if (far < least) { least = far; best = b; }
  }
  return best;
}
function tip(e, text) {
  const t = $('tip');
  t.hidden = !text;
  if (!text) return;
  t.textContent = text;
  t.style.left = Math.min(e.clientX + 14, innerWidth - t.offsetWidth - 8) + 'px';
  t.style.top = Math.min(e.clientY + 16, innerHeight - t.offsetHeight - 8) + 'px';
}
function tell(n) {
  const s = n.span, lines = [title(n) + (n.kind === 'event' && n.event_id ? ' ' + n.event_id : ''), s.function + ', +' + took(s.offset_ms) + ', took ' + took(s.duration_ms)];
  if (n.kind === 'handling') lines.unshift(n.event_type || 'event');
  if (n.size_bytes !== undefined) lines.push(bytes(n.size_bytes));
  if (n.how) lines.push(by(n));
  if (n.repeat) lines.push(n.repeat.kind);
  if (s.error) lines.push(s.error);
  return lines.join('\n');
}

let drag;
$('timeline').addEventListener('pointerdown', (e) => { if (area && e.button === 0) drag = { x: e.clientX - $('timeline').getBoundingClientRect().left }; });
addEventListener('pointermove', (e) => {
  if (!area || !drag && !$('timeline').contains(e.target)) { if (!e.target.closest || !e.target.closest('.plots')) tip(e, ''); return; }
  const px = e.clientX - $('timeline').getBoundingClientRect().left;
  if (drag && Math.abs(px - drag.x) > 4) {
    drag.moved = true;
    tip(e, '');
    const root = $('lanes').querySelector('svg');
    root.querySelectorAll('.brush').forEach((b) => b.remove());
    const [a, b] = [drag.x, px].sort((p, q) => p - q).map((p) => Math.max(area.left, Math.min(area.right, p)));
    root.append(svg('rect', { class: 'brush', x: a, y: 0, width: b - a, height: area.height }));
    return;
  }
  const b = under(e);
  tip(e, b ? tell(nodes[b.i]) : '');
});
addEventListener('pointerup', (e) => {
  if (!drag) return;
  const was = drag;
  drag = undefined;
  if (!was.moved) { const b = under(e); if (b) select(b.i, true); return; }
  const px = e.clientX - $('timeline').getBoundingClientRect().left, [a, b] = [was.x, px].sort((p, q) => p - q).map((p) => Math.max(area.left, Math.min(area.right, p)));
  if (area.at(b) - area.at(a) > 0.2) view = [area.at(a), area.at(b)];
  drawTimeline();
});
$('timeline').addEventListener('dblclick', whole);
$('timeline').addEventListener('wheel', (e) => {
  if (!e.ctrlKey && !e.metaKey || !area) return;
  e.preventDefault();
  zoom(Math.exp(e.deltaY / 300), area.at(e.clientX - $('timeline').getBoundingClientRect().left));
}, { passive: false });
$('timeline').addEventListener('keydown', (e) => {
  const act = { '+': () => zoom(0.6, middle()), '=': () => zoom(0.6, middle()), '-': () => zoom(1.7, middle()), 0: whole, ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2) }[e.key];
  if (act && bars.length) { e.preventDefault(); act(); }
});
$('in').addEventListener('click', () => bars.length && zoom(0.6, middle()));
$('out').addEventListener('click', () => bars.length && zoom(1.7, middle()));
$('reset').addEventListener('click', () => doc && whole());

// ---- sizes and durations: a dot for each value, a row for each name, on a logarithmic scale

function drawPlots() {
  const sizes = new Map(), durations = new Map();
  const put = (rows, name, i, v) => { if (!rows.has(name)) rows.set(name, []); rows.get(name).push([v, i]); };
  nodes.forEach((n, i) => {
    if (n.kind === 'event' && n.size_bytes) put(sizes, n.event_type || 'event', i, n.size_bytes);
    if (n.kind === 'handling' && n.span && n.same_as === undefined) put(durations, n.span.function, i, Math.max(0.01, n.span.duration_ms));
  });
  strip('sizes', sizes, bytes, [[200000, 'warn', '200 KB'], [262144, 'limit', '256 KiB'], [1048576, 'limit', '1 MiB']]);
  strip('durations', durations, took, [[60000, 'warn', '1 min'], [900000, 'limit', '15 min']], 'd');
}
function strip(id, rows, format, marks, kind) {
  const box = $(id), all = [...rows.values()].flat().map(([v]) => v);
  if (!all.length) { box.replaceChildren(make('p', { class: 'empty' }, 'No values.')); return; }
  const least = Math.min(...bounds(all)), most = Math.max(...bounds(all));
  const low = Math.log10(least) - 0.1, high = Math.max(Math.log10(most), low + 0.5) + 0.12;
  const width = box.clientWidth || 360, left = Math.min(190, width * 0.36), right = width - 74, lane = 28, height = rows.size * lane + 26;
  const x = (v) => left + (Math.log10(v) - low) / (high - low) * (right - left);
  const root = svg('svg', { width, height, role: 'img', 'aria-label': $(id + '-title').textContent });
  for (let p = Math.ceil(low); p <= high; p++) root.append(svg('line', { x1: x(10 ** p), x2: x(10 ** p), y1: 2, y2: height - 22, class: 'grid' }), svg('text', { x: x(10 ** p), y: height - 7, class: 'soft', 'text-anchor': 'middle' }, format(10 ** p)));
  for (const [v, name, text] of marks) if (Math.log10(v) < high && Math.log10(v) > low + (high - low) * 0.6) {
    const line = svg('line', { x1: x(v), x2: x(v), y1: 2, y2: height - 22, class: name });
    line.append(svg('title', {}, text));
    root.append(line);
  }
  const names = [...rows.keys()].sort((a, b) => Math.max(...bounds(rows.get(b).map(([v]) => v))) - Math.max(...bounds(rows.get(a).map(([v]) => v))));
  const dots = [];
  names.forEach((name, k) => {
    const values = rows.get(name).sort((a, b) => a[0] - b[0]), y = k * lane + 16, text = svg('text', { x: 14, y: y + 4 }, short(name, Math.floor(left / 7.4)));
    let d = '';
    values.forEach(([v, i], at) => {
      const jitter = values.length > 8 ? ((at * 7) % 15) - 7 : 0;
      d += `M${tenth(x(v))} ${y + jitter}h0`;
      dots.push([x(v), y + jitter, i]);
    });
    text.append(svg('title', {}, name));
    const p50 = values[Math.floor((values.length - 1) / 2)][0], top = values[values.length - 1][0];
    root.append(text, svg('line', { x1: left, x2: right, y1: y, y2: y, class: 'grid' }), svg('path', { d, class: 'dots ' + (kind || '') + (values.length > 60 ? ' many' : ''), 'stroke-width': values.length > 300 ? 4 : 6 }));
    root.append(svg('text', { x: width - 12, y: y + 4, class: 'soft', 'text-anchor': 'end' }, format(top)));
    if (values.length < 4) return;
    const mid = svg('line', { x1: x(p50), x2: x(p50), y1: y - 9, y2: y + 9, class: 'mid' });
    mid.append(svg('title', {}, 'half are below ' + format(p50)));
    root.append(mid);
  });
  const near = (e) => {
    const r = box.getBoundingClientRect(), px = e.clientX - r.left, py = e.clientY - r.top - 6;
    let best, least = 10;
    for (const [dx, dy, i] of dots) { const far = Math.hypot(px - dx, py - dy); if (far < least) { least = far; best = i; } }
    return best;
  };
  box.onpointermove = (e) => { const i = near(e); tip(e, i === undefined ? '' : tell(nodes[i])); };
  box.onpointerleave = (e) => tip(e, '');
  box.onclick = (e) => { const i = near(e); if (i !== undefined) select(i, true); };
  box.replaceChildren(root);
}
// bounds returns the minimum and maximum of a list. Math.max does not accept a hundred
// thousand arguments.
function bounds(list) {
  let least = Infinity, most = -Infinity;
  for (const v of list) { least = Math.min(least, v); most = Math.max(most, v); }
  return [least, most];
}

// ---- start

choices();
let resizing = 0;
addEventListener('resize', () => { clearTimeout(resizing); resizing = setTimeout(() => { measure(); layout(); drawTimeline(); drawPlots(); }, 80); });
show(0);
cancelAnimationFrame(wanted);
cancelAnimationFrame(drawing);
wanted = drawing = 0;
drawRowsNow();
drawTimelineNow();
document.documentElement.dataset.ready = (performance.now() - began).toFixed(1);
