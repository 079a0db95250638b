'use strict';
const began = performance.now();
const $ = (id) => document.getElementById(id);
let documents = JSON.parse($('data').textContent);
const HEAD = 27, narrow = matchMedia('(max-width: 760px)');
let ROW, STEP, LEVELS; // the height of a row (two lines on a phone), the indent of a level, and the number of indented levels
function measure() { [ROW, STEP, LEVELS] = narrow.matches ? [46, 7, 9] : [26, 12, 20]; }
measure();
if (window !== window.top) document.documentElement.dataset.inside = ''; // in a frame of a page that has the title and the selection
let doc, nodes, hay, children, folded, visible, place, selected, hits, isHit, hit;

// make builds an element. Texts of spans are inserted as text, never as markup.
function make(name, attributes, ...inner) {
  const node = document.createElement(name);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (k.startsWith('on')) node.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== false) node.setAttribute(k, v === true ? '' : v);
  }
  node.append(...inner.filter((x) => x !== undefined && x !== ''));
  return node;
}
const plural = (n, noun) => n.toLocaleString('en') + ' ' + noun + (n === 1 ? '' : 's');
const lag = (n) => n.lag_ms === undefined ? '' : (n.lag_from === 'event' ? '≤' : '') + took(n.lag_ms);
function took(ms) {
  if (ms === undefined) return '';
  const a = Math.abs(ms);
  if (a >= 7.2e6) return (ms / 3.6e6).toFixed(1) + ' h';
  if (a >= 1.2e5) return (ms / 6e4).toFixed(1) + ' min';
  if (a >= 1e4) return (ms / 1e3).toFixed(0) + ' s';
  if (a >= 1e3) return (ms / 1e3).toFixed(1) + ' s';
  return a >= 10 ? ms.toFixed(0) + ' ms' : ms.toFixed(1) + ' ms';
}
const bytes = (n) => n === undefined ? '' : n >= 1e6 ? (n / 1e6).toFixed(2) + ' MB' : n >= 1e3 ? (n / 1e3).toFixed(1) + ' KB' : n + ' B';
const gaps = {
  publisher_not_seen: ['publisher not seen', 'A link refers to a span that is missing: it was lost, is older than the searched time, or its function exports to another backend.'],
  publisher_not_sampled: ['publisher not sampled', 'The link says that its span was not sampled. No span was lost.'],
  publisher_not_traced: ['publisher not traced', 'The event has neither stamp nor trace context: its publisher is not instrumented, or an input transformer removed the stamp.'],
  handling_not_seen: ['handling not seen', 'The events below were published while the event above was handled, but the span of that handling is missing.'],
  cause_not_seen: ['cause not seen', 'The number of hops shows that this is not the first event of the workflow, but its cause is unknown.'],
  not_handled: ['not handled', 'No span handled this event: no rule matched it, its consumer is not traced, or its handling has not ended yet.'],
};
const failed = (n) => n.span && n.span.failed;
const title = (n) => n.kind === 'event' ? n.event_type || 'event' : n.kind === 'hop' ? n.span ? n.span.name : n.event_type : n.kind === 'call' || n.kind === 'span' ? n.span.name : n.span ? n.span.function : 'unknown function';
const sign = { event: '● ', handling: '⇢ ', call: '↗ ', hop: '→ ', span: '▪ ' };
const loops = {
  type: 'One of its causes has the same type, so the events may be in a loop. The usual cause is a rule that matches events of its own target.',
  hops: 'It has so many hops that the events may be in a loop. The usual cause is a rule that matches events of its own target.',
};
const by = (n) => n.how ? n.via + ' ' + n.how + (n.by ? (n.how === 'inferred' ? ' from ' : ' by ') + n.by : '') : '';
// halves splits a name in two parts. The first is cut if there is not enough room,
// because names often differ at the end.
function halves(text) {
  const end = text.length > 12 ? Math.min(9, Math.floor(text.length / 3)) : 0, head = end ? text.slice(0, -end) : text;
  return [make('span', { class: 'cut' }, head), end && /^[\x20-\x7e]+$/.test(text) ? make('span', { class: 'end' }, text.slice(-end)) : end ? text.slice(-end) : undefined];
}

// replaceDocuments replaces the data and keeps the reader's
// position.
function replaceDocuments(list) {
  const keep = doc && nodes.length ? { id: doc.correlation_id, at: key(selected), folded: new Set([...folded].map(key)), top: $('tree').scrollTop, view: view[1] - view[0] < doc.duration_ms * 0.999 && view } : undefined;
  const part = document.activeElement && document.activeElement.closest('#summary, #detail'), button = part && [...part.querySelectorAll('button')].indexOf(document.activeElement);
  documents = list;
  choices();
  show(0, keep && list.length && list[0].correlation_id === keep.id ? keep : undefined);
  if (part) (part.querySelectorAll('button')[button] || $('tree')).focus();
}
// key identifies a node that also exists in the next document.
const key = (i) => { const n = nodes[i]; return n && [n.kind, n.span ? n.span.trace_id + n.span.span_id : n.event_type, n.event_id].join(' '); };

function choices() {
  $('which').replaceChildren(...documents.map((d, i) => make('option', { value: i }, called(d) + ' (' + (d.trace_id ? plural(d.counts.spans, 'span') : plural(d.counts.events, 'event')) + ')')));
  document.documentElement.dataset.documents = documents.length > 1 ? 'many' : 'one';
}
const called = (d) => d.trace_id ? 'trace ' + d.trace_id : d.correlation_id;

function show(index, keep) {
  doc = documents[index];
  nodes = doc ? doc.nodes : [];
  folded = new Set();
  children = nodes.map(() => 0);
  for (const n of nodes) if (n.parent >= 0) children[n.parent]++;
  hay = undefined;
  summary();
  let at = nodes.length ? 0 : -1;
  if (keep) nodes.forEach((n, i) => {
    const its = key(i);
    if (its === keep.at) at = i;
    if (keep.folded.has(its)) folded.add(i);
  });
  selected = at;
  search();
  charts(keep && keep.view);
  if (keep) $('tree').scrollTop = keep.top;
  select(at);
}

function summary() {
  if (!doc) { $('summary').replaceChildren(make('p', { class: 'empty' }, 'No workflow in these spans.')); return; }
  const c = doc.counts;
  const tile = (value, label, query, kind) => make(query ? 'button' : 'div', { class: 'tile ' + (kind || ''), type: query && 'button', title: query && 'Search ' + query, onclick: () => { if (query) { $('find').value = query; search(true); } } }, make('b', {}, value.toLocaleString('en')), make('span', {}, label));
  $('summary').replaceChildren(
    make('div', { class: 'tile wide' }, make('b', { class: 'id' }, called(doc)), make('span', {}, doc.start ? 'began ' + doc.start.replace('T', ' ').replace(/\.(\d{3})\d*Z/, '.$1').replace('Z', '') + ' UTC' : '')),
    ...(doc.trace_id ? [tile(c.spans, c.spans === 1 ? 'span' : 'spans', 'is:span')] : [tile(c.events, c.events === 1 ? 'event' : 'events', c.events && 'is:event'), tile(c.handlings, c.handlings === 1 ? 'handling' : 'handlings', c.handlings && 'is:handling')]),
    tile(doc.functions.length, doc.functions.length === 1 ? 'function' : 'functions'), tile(took(doc.duration_ms), 'duration'),
    ...[[c.calls, 'call'], [c.hops, 'hop'], [c.repeats, 'repeat'], [c.loops, 'loop'], [c.errors, 'error'], [c.gaps, 'gap']].filter(([n]) => n).map(([n, noun]) => tile(n, n === 1 ? noun : noun + 's', 'is:' + noun, 't-' + noun)));
  document.title = 'Throughline: ' + called(doc);
}

// ---- search

const is = {
  span: (n) => n.span, loop: (n) => n.loop, repeat: (n) => n.repeat, error: failed, gap: (n) => n.gap, cold: (n) => n.cold_start, call: (n) => n.kind === 'call', event: (n) => n.kind === 'event',
  handling: (n) => n.kind === 'handling', hop: (n) => n.kind === 'hop', linked: (n) => n.how === 'linked', joined: (n) => n.how === 'joined', inferred: (n) => n.how === 'inferred',
  broken: (n) => n.correlation_changed, waiting: (n) => n.waited_for, late: (n) => n.out_of_order_ms !== undefined, batch: (n) => n.batch,
};
// The first search builds the searched texts.
const haystack = () => hay = hay || nodes.map((n) => [n.event_type, n.event_id, gaps[n.gap] && gaps[n.gap][0], n.repeat && n.repeat.kind, n.repeat && n.repeat.first_request_id, n.replay_name, n.status, n.x_request_id, n.causation_id, n.via, n.how, n.by, n.correlation_id, n.run_id,
  n.span && [n.span.name, n.span.function, n.span.trace_id, n.span.span_id, n.span.error, n.span.request_id].join(' ')].join(' ').toLowerCase());
function search(jump) {
  const words = $('find').value.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map((w) => w.startsWith('is:') && is[w.slice(3)] ? (i) => is[w.slice(3)](nodes[i]) : (i) => haystack()[i].includes(w));
  hits = [];
  if (words.length) for (let i = 0; i < nodes.length; i++) if (tests.every((t) => t(i))) hits.push(i);
  isHit = new Set(hits);
  hit = -1;
  $('found').textContent = words.length ? hits.length.toLocaleString('en') + (hits.length === 1 ? ' match' : ' matches') : '';
  layout();
  if (hits.length && jump) go(1); else drawTimeline();
}
function go(by) {
  if (!hits.length) return;
  hit = (hit + by + hits.length) % hits.length;
  $('found').textContent = (hit + 1) + ' of ' + hits.length.toLocaleString('en');
  select(hits[hit], true);
}

// ---- the tree: only the rows on screen are in the document

function layout() {
  visible = [];
  let keep;
  if ($('only').checked && $('find').value.trim()) {
    keep = new Set();
    for (let i of hits) for (; i >= 0 && !keep.has(i); i = nodes[i].parent) keep.add(i);
  }
  for (let i = 0, hidden = Infinity; i < nodes.length; i++) {
    if (nodes[i].depth > hidden) continue;
    hidden = folded.has(i) && !keep ? nodes[i].depth : Infinity;
    if (!keep || keep.has(i)) visible.push(i);
  }
  place = new Map(visible.map((i, at) => [i, at]));
  $('rows').style.height = visible.length * ROW + 'px';
  $('tree').setAttribute('aria-rowcount', visible.length);
  drawRows();
}
let wanted = 0, wide = 0; // the width of a name's cell
function drawRows() { if (!wanted) wanted = requestAnimationFrame(() => { wanted = 0; drawRowsNow(); }); }
function drawRowsNow() {
  const tree = $('tree'), first = Math.max(0, Math.floor((tree.scrollTop - HEAD) / ROW) - 6), last = Math.min(visible.length, first + Math.ceil(tree.clientHeight / ROW) + 12);
  // A deep tree moves to the left in steps while scrolling, so that it stays on the page.
  let least = Infinity;
  for (let at = first; at < last; at++) least = Math.min(least, nodes[visible[at]].depth);
  const base = least > LEVELS / 2 ? Math.floor((least - 4) / 6) * 6 : 0;
  wide = document.querySelector('.titles .name').clientWidth;
  $('level').textContent = base ? 'from level ' + base : '';
  const rows = [];
  for (let at = first; at < last; at++) rows.push(row(visible[at], at, base));
  $('rows').replaceChildren(...rows);
  const at = place.get(selected);
  if (at >= first && at < last) tree.setAttribute('aria-activedescendant', 'n' + selected); else tree.removeAttribute('aria-activedescendant');
}
// aside returns the text beside a node's name.
const aside = (n) => (n.kind === 'event' ? n.event_id : n.kind === 'call' ? n.x_request_id || doc.trace_id && n.span.function : n.kind === 'span' ? n.span.function : '') || '';
const tone = (n) => failed(n) ? ' bad' : n.repeat || n.loop ? ' rep' : '';
function row(i, at, base) {
  const n = nodes[i], s = n.span, indent = Math.min(n.depth - base, LEVELS) * STEP;
  const guide = make('span', { class: 'guide' });
  guide.style.width = indent + 'px';
  if (n.depth - base > LEVELS) guide.append(make('i', {}, n.depth + 1));
  const cells = make('span', { class: 'name', role: 'gridcell' }, guide,
    make('button', { class: 'fold', type: 'button', tabindex: -1, hidden: !children[i], 'aria-hidden': 'true', onclick: (e) => { e.stopPropagation(); fold(i, !folded.has(i)); } }, folded.has(i) ? '▶' : '▼'),
    make('span', { class: 'mark ' + n.kind + tone(n) + (s ? '' : ' absent') }),
    make('span', { class: 'label' }, make('span', { class: n.kind === 'event' ? 'what' : 'fn', title: title(n) }, ...halves(title(n))), make('span', { class: 'id' }, aside(n))),
    make('span', { class: 'chips' }, ...fitting(chips(n), wide - indent - (narrow.matches ? 54 : 172))));
  cells.querySelector('.label').style.minWidth = Math.min(10, title(n).length + 1) + 'ch';
  const fall = make('span', { class: 'fall', role: 'gridcell' });
  if (s) {
    const bar = make('span', { class: 'bar ' + n.kind + tone(n) }), all = Math.max(doc.duration_ms, 0.001);
    bar.style.left = Math.min(99, s.offset_ms / all * 100) + '%';
    bar.style.width = Math.max(0, Math.min(100 - s.offset_ms / all * 100, s.duration_ms / all * 100)) + '%';
    fall.append(bar);
  }
  const cell = (text, kind) => make('span', { class: 'n ' + (kind || ''), role: 'gridcell' }, text);
  const node = make('div', {
    class: 'row' + (isHit.has(i) ? ' hit' : '') + (i === selected ? ' on' : ''), id: 'n' + i, role: 'row', 'aria-level': n.depth + 1, 'aria-rowindex': at + 1, 'aria-selected': String(i === selected),
    'aria-expanded': children[i] ? String(!folded.has(i)) : undefined, onclick: () => select(i), ondblclick: () => fold(i, !folded.has(i)),
  }, cells, cell(s ? '+' + took(s.offset_ms) : ''), cell(lag(n)), cell(s ? took(s.duration_ms) : '', 'big'), cell(bytes(n.size_bytes)), cell(n.kind !== 'call' && n.hops !== undefined ? String(n.hops) : '', 'hops'), fall);
  node.style.top = at * ROW + 'px';
  return node;
}
// fitting returns the first marks of a row that fit, and the number of others.
function fitting(list, room) {
  const most = Math.max(1, Math.floor((room - 34) / 66));
  if (list.length <= most || list.length * 66 <= room) return list;
  const more = list.splice(most);
  return [...list, make('span', { class: 'chip more', title: more.map((c) => c.textContent).join(', ') }, '+' + more.length)];
}
// chips returns the marks of a node, the worst first.
function chips(n) {
  const list = [], chip = (text, kind) => list.push(make('span', { class: 'chip ' + (kind || ''), title: text }, text));
  if (failed(n) && n.kind !== 'call') chip(n.span.error || (n.kind === 'event' ? 'failed' : 'error'), 'error');
  if (n.failed_messages) chip(n.failed_messages + ' failed', 'error');
  if (n.failed_records && n.same_as === undefined) chip(n.failed_records + ' of ' + n.batch + ' failed', failed(n) ? 'error' : '');
  if (n.status) chip(String(n.status), n.status >= 400 ? 'error' : '');
  if (n.loop) chip('loop', 'repeat');
  if (n.correlation_changed) chip('correlation ' + n.correlation_id, 'error');
  if (n.gap) chip(gaps[n.gap] ? gaps[n.gap][0] : n.gap, 'gap');
  if (n.repeat) chip(n.repeat.kind + (n.repeat.count > 1 ? ' ×' + n.repeat.count : ''), 'repeat');
  if (n.out_of_order_ms !== undefined) chip('out of order', 'repeat');
  if (n.how && (n.via !== 'bus' || n.how !== 'linked')) chip(n.via + ' ' + n.how, 'hop ' + n.how);
  if (n.waited_for) chip('waited for ' + n.waited_for.length);
  if (n.messages) chip(plural(n.messages, 'message'));
  if (n.batch) chip(n.same_as === undefined ? 'batch of ' + n.batch : 'same batch');
  if (n.cold_start) chip('cold start');
  return list;
}
function fold(i, on) {
  if (!children[i]) return;
  if (on) folded.add(i); else folded.delete(i);
  layout();
}
function reveal(i) {
  let changed = false;
  for (let p = nodes[i].parent; p >= 0; p = nodes[p].parent) changed = folded.delete(p) || changed;
  if (changed || !place.has(i)) { if (!place.has(i)) $('only').checked = false; layout(); }
  const tree = $('tree'), top = place.get(i) * ROW;
  if (top < tree.scrollTop || top > tree.scrollTop + tree.clientHeight - HEAD - ROW) tree.scrollTop = Math.max(0, top - tree.clientHeight / 3);
}
function select(i, jump) {
  selected = i;
  if (i >= 0 && jump) reveal(i);
  drawRows();
  detail();
  drawTimeline();
}
// ---- details of the selection

function detail() {
  const n = nodes[selected];
  if (!n) { $('detail').replaceChildren(make('p', { class: 'empty' }, 'Nothing is selected.')); return; }
  const s = n.span, list = make('dl');
  const fact = (name, value, code) => { if (value !== undefined && value !== '') list.append(make('dt', {}, name), make('dd', {}, code ? make('code', {}, String(value)) : String(value))); };
  const parts = [make('h3', {}, title(n)), make('div', { class: 'soft' }, n.kind === 'call' ? 'outbound call' : n.kind)];
  if (n.correlation_changed) parts.push(make('p', { class: 'note error' }, 'The correlation ID differs from the one above: it was lost or changed on the way.'));
  if (n.loop) parts.push(make('p', { class: 'note warn' }, loops[n.loop] || n.loop));
  if (n.gap) parts.push(make('p', { class: 'note' }, gaps[n.gap] ? gaps[n.gap][1] : n.gap));
  if (failed(n)) parts.push(make('p', { class: 'note error' }, s.error || (n.status ? 'HTTP status ' + n.status : 'The status of the span is an error without a message.')));
  fact('Type', n.event_type); fact('Event ID', n.event_id, true); fact('Causation ID', n.causation_id, true);
  if (s) { fact('Function', s.function); fact('Started', new Date(Date.parse(doc.start) + s.offset_ms).toISOString().replace('T', ' ').replace('Z', ' UTC')); fact('Since began', '+' + took(s.offset_ms)); fact('Took', took(s.duration_ms)); }
  fact('Lag', n.lag_ms === undefined ? undefined : lag(n) + ({ publisher: ', from the end of its publication', message: ', from when the queue or stream received it', event: ', from the event\'s whole second' })[n.lag_from]); fact('Size', bytes(n.size_bytes)); fact('Hops', n.hops); fact('Batch', n.batch && plural(n.batch, 'record') + (n.failed_records ? ', ' + n.failed_records + ' failed' : '')); fact('Cold start', n.cold_start && 'yes');
  if (n.repeat) { fact('Repeat', n.repeat.kind + (n.repeat.count ? ', no. ' + n.repeat.count : '')); fact('First request', n.repeat.first_request_id, true); fact('First handled', n.repeat.first_time && n.repeat.first_time.replace('T', ' ').replace('Z', ' UTC')); }
  fact('Came by', by(n)); fact('Correlation ID', n.correlation_id, true); fact('Run', n.run_id, true); fact('Messages', n.messages); fact('Failed', n.failed_messages);
  fact('Replay', n.replay_name); fact('Out of order', n.out_of_order_ms !== undefined ? 'its child came ' + took(n.out_of_order_ms) + ' earlier' : undefined);
  fact('Status', n.status); fact('X-Request-ID', n.x_request_id, true); fact('Resend', n.resend); fact('Links dropped', n.links_dropped);
  if (s) { fact('Span', s.name); fact('Request', s.request_id, true); fact('Trace ID', s.trace_id, true); fact('Span ID', s.span_id, true); }
  parts.push(list);
  const jump = (i, text) => make('li', {}, make('button', { type: 'button', onclick: () => select(i, true) }, text));
  const section = (name, items) => { if (items.length) parts.push(make('h4', {}, name), make('ul', {}, ...items)); };
  const above = [];
  for (let p = n.parent; p >= 0 && above.length < 8; p = nodes[p].parent) above.push(jump(p, sign[nodes[p].kind] + title(nodes[p]) + ' ' + (nodes[p].kind === 'event' ? nodes[p].event_id || '' : '')));
  section('Caused by', above);
  const below = [];
  for (let i = selected + 1, more = 0; i < nodes.length && nodes[i].depth > n.depth; i++) if (nodes[i].parent === selected && ++more <= 12) below.push(jump(i, sign[nodes[i].kind] + title(nodes[i]) + (nodes[i].kind === 'event' ? ' ' + (nodes[i].event_id || '') : '')));
  if (children[selected] > below.length) below.push(make('li', { class: 'soft' }, 'and ' + (children[selected] - below.length) + ' more'));
  section(n.kind === 'event' ? 'Handled by' : n.kind === 'hop' ? 'Caused' : 'Made', below);
  if (n.waited_for) section('Waited for', n.waited_for.slice(0, 40).map((i) => jump(i, sign.handling + title(nodes[i]) + ' ' + (nodes[i].event_id || ''))));
  if (s && s.links) section('Links', s.links.slice(0, 40).map(([why, to, sampled]) => typeof to === 'number'
    ? jump(to, why + ' → ' + title(nodes[to]) + ' ' + nodes[to].span.span_id.slice(0, 8))
    : make('li', { class: 'soft' }, why + ' → ' + to + (sampled ? ', not here' : ', not sampled'))));
  $('detail').replaceChildren(...parts);
}

// ---- keys

$('tree').addEventListener('keydown', (e) => {
  const at = place.get(selected) ?? -1, i = selected, page = Math.max(1, Math.floor($('tree').clientHeight / ROW) - 1);
  const to = (n) => { const next = visible[Math.max(0, Math.min(visible.length - 1, n))]; if (next !== undefined) select(next, true); };
  switch (e.key) {
    case 'ArrowDown': to(at + 1); break;
    case 'ArrowUp': to(at - 1); break;
    case 'PageDown': to(at + page); break;
    case 'PageUp': to(at - page); break;
    case 'Home': to(0); break;
    case 'End': to(visible.length - 1); break;
    case 'ArrowRight': if (children[i] && folded.has(i)) fold(i, false); else if (children[i]) to(at + 1); break;
    case 'ArrowLeft': if (children[i] && !folded.has(i)) fold(i, true); else if (i >= 0 && nodes[i].parent >= 0) select(nodes[i].parent, true); break;
    case 'Enter': case ' ': fold(i, !folded.has(i)); break;
    default: return;
  }
  e.preventDefault();
});
document.addEventListener('keydown', (e) => {
  if (e.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) { e.preventDefault(); $('find').focus(); $('find').select(); }
  if (e.key === 'Escape' && document.activeElement === $('find')) { $('find').value = ''; search(); $('tree').focus(); }
});
$('find').addEventListener('input', () => search());
$('find').addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); go(e.shiftKey ? -1 : 1); } });
$('search').addEventListener('submit', (e) => { e.preventDefault(); go(1); });
$('previous').addEventListener('click', () => go(-1));
$('only').addEventListener('change', layout);
$('expand').addEventListener('click', () => { folded = new Set(); layout(); });
$('collapse').addEventListener('click', () => { folded = new Set(nodes.keys()); nodes.forEach((n, i) => { if (!n.depth || !children[i]) folded.delete(i); }); layout(); });
$('theme').addEventListener('click', () => {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});
$('tree').addEventListener('scroll', drawRows, { passive: true });
$('which').addEventListener('change', () => show($('which').value));
