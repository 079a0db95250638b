'use strict';
const $ = (id) => document.getElementById(id);
const token = document.querySelector('meta[name=throughline-token]').content, narrow = matchMedia('(max-width: 760px)');
let workflows = [], found = 0, version, waiting = new AbortController(), rows = new Map();

// make builds an element. Texts of spans are inserted as text, never as markup.
function make(name, kind, ...inner) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  node.append(...inner.filter(Boolean));
  return node;
}
function took(ms) {
  if (ms >= 7.2e6) return (ms / 3.6e6).toFixed(1) + ' h';
  if (ms >= 1.2e5) return (ms / 6e4).toFixed(1) + ' min';
  if (ms >= 1e3) return (ms / 1e3).toFixed(1) + ' s';
  return ms.toFixed(ms >= 10 ? 0 : 1) + ' ms';
}
const plural = (n, noun) => n.toLocaleString('en') + ' ' + noun + (n === 1 ? '' : 's');
// halves splits a name in two parts. The first is cut if there is not enough room.
function halves(text) {
  const end = text.length > 12 ? Math.min(9, Math.floor(text.length / 3)) : 0;
  return end ? [make('span', 'cut', text.slice(0, -end)), make('span', 'end', text.slice(-end))] : [make('span', 'cut', text)];
}

// ---- where the reader is: #w=CORRELATION_ID, #t=TRACE_ID, #map, #map=CORRELATION_ID, #app, #find=TEXT

function route() {
  const [kind, ...rest] = location.hash.slice(1).split('=');
  let id = rest.join('=');
  try { id = decodeURIComponent(id); } catch { id = ''; }
  return { kind, id };
}
const address = (w) => w.trace_id ? '#t=' + w.trace_id : '#w=' + encodeURIComponent(w.correlation_id);
const chosen = () => { const { kind, id } = route(); return kind === 'w' || kind === 't' ? workflows.find((w) => (kind === 't' ? w.trace_id : w.correlation_id) === id) : undefined; };

// ---- the list

// settle opens the newest workflow where there is room beside the list and nothing is chosen.
function settle() {
  if (!route().kind && workflows.length && !narrow.matches && !$('find').value) history.replaceState(null, '', address(workflows[0]));
}
function draw() {
  settle();
  const now = new Map();
  for (const w of workflows) {
    const at = address(w), state = JSON.stringify(w);
    let row = rows.get(at);
    if (!row || row.state !== state) {
      const fresh = item(w, at);
      if (row) fresh.firstChild.tabIndex = row.node.firstChild.tabIndex;
      if (row && row.node.contains(document.activeElement)) { row.node.replaceWith(fresh); fresh.firstChild.focus(); }
      row = { state, node: fresh };
    }
    now.set(at, row);
  }
  rows = now;
  // Elements that stay in place are not moved, so that none loses the focus.
  let next = $('list').firstChild;
  for (const { node } of rows.values()) {
    if (node === next) next = next.nextSibling;
    else if (!node.contains(document.activeElement)) $('list').insertBefore(node, next);
    else { while (next && next !== node) { const gone = next; next = next.nextSibling; gone.remove(); } next = node.nextSibling; }
  }
  while (next) { const gone = next; next = next.nextSibling; gone.remove(); }
  const links = [...$('list').querySelectorAll('a')];
  if (links.length && !links.some((a) => a.tabIndex === 0)) links[0].tabIndex = 0;
  mark();
  const searching = $('find').value !== '';
  $('state').classList.remove('lost');
  $('state').textContent = searching && !found ? 'No workflow has this in its ID, its functions, event types, queues or topics, and no event has it as its ID.' : found ? plural(found, 'workflow') + (found > workflows.length ? ', the latest ' + workflows.length + ' shown' : '') : 'Waiting for spans…';
  $('clear').hidden = !found && !searching;
  show();
}
function item(w, at) {
  const link = make('a'), id = make('b', 'id', ...halves(w.correlation_id || w.name || w.trace_id)), time = make('time', '', w.start.slice(11, 19));
  time.dateTime = w.start;
  time.title = w.start.replace('T', ' ').slice(0, 23) + ' UTC';
  id.title = w.correlation_id || 'trace ' + w.trace_id;
  link.href = at;
  link.tabIndex = -1;
  const names = w.functions || [], facts = make('span', 'facts', (w.trace_id ? 'trace, ' : '') + took(w.duration_ms) + ', ' + plural(w.spans, 'span') + (w.hops ? ', ' + plural(w.hops, 'hop') : ''));
  for (const [is, text, kind] of [[w.errors, plural(w.errors || 0, 'error'), 'error'], [w.loop, 'loop', 'repeat'], [w.repeats, plural(w.repeats || 0, 'repeat'), 'repeat']]) if (is) facts.append(make('span', 'chip ' + kind, text));
  link.append(id, time);
  if (names.length) link.append(make('span', 'path soft', names.slice(0, 4).join(' · ') + (names.length > 4 ? ' +' + (names.length - 4) : '')));
  link.append(facts);
  return make('li', '', link);
}
function mark() {
  const { kind } = route(), of = chosen();
  for (const [at, { node }] of rows) if (of && at === address(of)) node.firstChild.setAttribute('aria-current', 'true'); else node.firstChild.removeAttribute('aria-current');
  for (const [id, is] of [['all', kind !== 'map' && kind !== 'app'], ['map', kind === 'map'], ['app', kind === 'app']]) if (!$(id)) continue; else if (is) $(id).setAttribute('aria-current', 'page'); else $(id).removeAttribute('aria-current');
}
$('list').addEventListener('keydown', (e) => {
  const links = [...$('list').querySelectorAll('a')], at = links.indexOf(document.activeElement), to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[e.key];
  if (to === undefined || at < 0) return;
  e.preventDefault();
  reach(links[Math.max(0, Math.min(links.length - 1, to))]);
});
$('list').addEventListener('focusin', (e) => reach(e.target));
function reach(link) {
  for (const a of $('list').querySelectorAll('a[tabindex="0"]')) if (a !== link) a.tabIndex = -1;
  link.tabIndex = 0;
  if (document.activeElement !== link) link.focus();
}

// ---- the selection: in a frame, updated when it changes

let shown = '', state = 0, busy = false;
const frame = $('tree');
function show() {
  const { kind, id } = route(), is = ['w', 't', 'map'].includes(kind) || kind === 'app' && $('app');
  document.body.dataset.view = is ? 'one' : workflows.length || found || $('find').value ? 'list' : 'empty';
  $('empty').hidden = is || found > 0 || $('find').value !== '';
  frame.hidden = $('bar').hidden = !is;
  if (!is) { shown = ''; return; }
  const query = kind === 't' ? 'trace=' + encodeURIComponent(id) : kind === 'w' || id ? 'id=' + encodeURIComponent(id) : '', path = kind === 'app' ? '/app/' : (kind === 'map' ? '/map?' : '/workflow?') + query;
  const w = chosen(), now = kind === 'map' && !id ? version : w ? w.changed : 0;
  $('title').textContent = kind === 'app' ? 'The application' : kind === 'map' ? (id ? 'Map of ' + id : 'Map of the system') : kind === 't' ? (w && w.name ? w.name + ', ' : '') + 'trace ' + id : id;
  $('title').title = $('title').textContent;
  $('map-of').textContent = kind === 'map' ? 'Show the workflow' : 'Map of this workflow';
  $('map-of').hidden = kind === 't' || kind === 'app' || kind === 'map' && !id;
  $('map-of').href = (kind === 'map' ? '#w=' : '#map=') + encodeURIComponent(id);
  document.title = $('title').textContent + ' · Throughline dev';
  if (path !== shown) {
    shown = path;
    state = now;
    frame.contentWindow.location.replace(path); // without an entry in the browser's history
  } else if (now && now !== state) renew(path, now);
}
// renew updates the frame and keeps the reader's position.
async function renew(path, now) {
  if (busy || frame.contentDocument.readyState !== 'complete') return; // the next response repeats this
  busy = true;
  const began = performance.now();
  try {
    const answer = await fetch(path.startsWith('/map') ? path : '/api' + path), text = answer.ok ? await answer.text() : '';
    if (text && path === shown) {
      if (path.startsWith('/map')) renewMap(text); else frame.contentWindow.replaceDocuments(JSON.parse(text));
      state = now;
    }
    await pause(performance.now() - began); // drawing takes at most half of the time
  } finally { busy = false; }
  show();
}
function renewMap(text) {
  const inside = frame.contentDocument, focused = inside.activeElement && inside.activeElement.getAttribute('href'), fresh = new DOMParser().parseFromString(text, 'text/html');
  const drawing = inside.querySelector('.drawing'), at = drawing && [drawing.scrollLeft, drawing.scrollTop];
  inside.querySelector('main').replaceWith(inside.adoptNode(fresh.querySelector('main')));
  if (at && inside.querySelector('.drawing')) [inside.querySelector('.drawing').scrollLeft, inside.querySelector('.drawing').scrollTop] = at;
  if (focused) for (const a of inside.querySelectorAll('a')) if (a.getAttribute('href') === focused) { a.focus(); break; }
}
frame.addEventListener('load', paint);
addEventListener('hashchange', () => {
  const { kind, id } = route();
  if (kind === 'find') { $('find').value = id; history.replaceState(null, '', '#'); ask(); }
  settle();
  mark();
  show();
  if (narrow.matches && document.body.dataset.view === 'one') $('back').focus();
});

// ---- updates

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const ask = () => { version = undefined; waiting.abort(); };
async function follow() {
  for (;;) {
    const search = $('find').value, question = new URLSearchParams({ find: search });
    if (version !== undefined) question.set('after', version);
    waiting = new AbortController();
    try {
      const answer = await fetch('/api/workflows?' + question, { signal: waiting.signal });
      const data = await answer.json();
      if (search !== $('find').value) continue; // the search changed meanwhile
      workflows = data.workflows;
      found = data.found;
      version = data.version;
      draw();
      await pause(500); // many spans at once are drawn once
    } catch (error) {
      if (error.name === 'AbortError') continue;
      $('state').classList.add('lost');
      $('state').textContent = 'throughline dev does not respond: check that it is running';
      await pause(2000);
    }
  }
}

// ---- keys and buttons

$('find').addEventListener('input', ask);
$('find').addEventListener('keydown', (e) => {
  const first = $('list').querySelector('a');
  if (e.key === 'ArrowDown' && first) { e.preventDefault(); reach(first); }
});
addEventListener('keydown', (e) => {
  if (e.key === '/' && document.activeElement !== $('find')) { e.preventDefault(); $('find').focus(); $('find').select(); }
});
$('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText($('variables').textContent);
    $('copied').textContent = 'Copied.';
  } catch {
    getSelection().selectAllChildren($('variables'));
    $('copied').textContent = 'Selected: copy it with the keyboard.';
  }
});
$('clear').addEventListener('click', () => $('sure').showModal());
$('sure').addEventListener('close', async () => {
  const sure = $('sure').returnValue === 'yes';
  $('sure').returnValue = '';
  if (!sure) return;
  const answer = await fetch('/api/clear', { method: 'POST', headers: { 'Throughline-Token': token } });
  if (answer.ok) { $('find').value = ''; workflows = []; found = 0; location.hash = '#'; ask(); } else $('state').textContent = await answer.text();
  $('find').focus();
});
function paint() {
  let theme;
  try { theme = localStorage.getItem('theme'); } catch { /* it follows the system */ }
  for (const root of [document.documentElement, frame.contentDocument && frame.contentDocument.documentElement]) if (root) if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
}
$('theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === 'light dark' ? matchMedia('(prefers-color-scheme: dark)').matches : document.documentElement.dataset.theme === 'dark';
  try { localStorage.setItem('theme', dark ? 'light' : 'dark'); } catch { /* for this page alone */ }
  paint();
});
paint();
// The application's token is after # and belongs to its part of the page.
if (route().kind === 'token') {
  sessionStorage.setItem('token', route().id);
  history.replaceState(null, '', '#app');
}
// After a request to the application, the list shows its workflow when its spans arrive.
addEventListener('message', (event) => {
  if (event.source === frame.contentWindow && event.origin === location.origin && typeof event.data.show === 'string') location.hash = '#w=' + encodeURIComponent(event.data.show);
});
if (route().kind === 'find') { $('find').value = route().id; history.replaceState(null, '', '#'); }
follow();
