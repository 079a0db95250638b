'use strict';
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get('token') || sessionStorage.getItem('token') || '';
let seen = 0, lines = [], samples = {}, told;

async function ask(method, path, body) {
  const answer = await fetch('/app/' + path, { method, body, headers: { 'Throughline-Token': token } });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error);
  return data;
}

// options fills a list and keeps the selection. Texts of functions are inserted as text,
// never as markup.
function options(id, values) {
  const list = $(id), chosen = list.value;
  if (list.dataset.of === values.join('\n')) return;
  list.dataset.of = values.join('\n');
  list.replaceChildren(...values.map((value) => { const option = document.createElement('option'); option.value = option.textContent = value; return option; }));
  if (values.includes(chosen)) list.value = chosen;
}

function rows(id, list) {
  $(id).replaceChildren(...list.map((cells) => {
    const row = document.createElement('tr');
    row.append(...cells.map((text) => { const cell = document.createElement('td'); cell.textContent = text; return cell; }));
    return row;
  }));
}

function draw(state) {
  $('template').textContent = state.template;
  $('state').textContent = 'The application is running. Spans of your requests appear in the list of workflows.';
  if ($('changed').textContent !== state.changed.join(' ')) $('changed').textContent = state.changed.join(' ');
  $('changed').hidden = state.changed.length === 0;
  samples = Object.fromEntries(state.types.map((t) => [t.type, t]));
  options('types', Object.keys(samples));
  options('function', state.functions.map((f) => f.name));
  options('schedule', state.schedules);
  $('fire').hidden = state.schedules.length === 0;
  if (!$('type').value && state.types.length) { $('type').value = state.types[0].type; fill(); }
  const set = state.faults.map((f) => f.rule).join('\n');
  if (told !== set && document.activeElement !== $('faults')) $('faults').value = set;
  told = set;
  $('kinds').textContent = 'KIND[=VALUE][:SHARE%][@NAME]. ' + state.kinds.map(([kind, what]) => kind + ': ' + what).join('; ') + '.' + (state.faults.length ? ' Struck so far: ' + state.faults.map((f) => f.rule + ' ' + f.count + ' times').join(', ') + '.' : '');
  rows('functions', state.functions.map((f) => [f.name, f.runtime, f.environments, f.invocations, f.errors]));
  rows('queues', state.queues.map((q) => [q.name, q.visible, q.in_flight, q.delayed]));
  $('with-queues').hidden = state.queues.length === 0;
  const notes = state.not_played.concat(state.notes);
  $('with-notes').hidden = notes.length === 0;
  $('notes').replaceChildren(...notes.map((text) => { const item = document.createElement('li'); item.textContent = text; return item; }));
  if (state.log.length) {
    lines = lines.concat(state.log).slice(-500);
    $('log').textContent = lines.map((l) => [l.time ? l.time.slice(11, 23) : '', l.function || '', l.text].filter(Boolean).join(' ')).join('\n');
    $('log').scrollTop = $('log').scrollHeight;
  }
  seen = state.lines;
}

// fill inserts a sample that matches a rule of the chosen type.
function fill() {
  const sample = samples[$('type').value];
  if (!sample) return;
  $('source').value = sample.source;
  $('bus').value = sample.bus;
  $('detail').value = JSON.stringify(sample.detail, null, 2);
}

function on(id, act) {
  $(id).addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      $('answer').textContent = JSON.stringify(await act(), null, 2);
    } catch (error) {
      $('answer').textContent = error.message;
    }
  });
}

on('send', async () => {
  const event = { source: $('source').value, 'detail-type': $('type').value, detail: JSON.parse($('detail').value) };
  const sent = await ask('POST', 'send', JSON.stringify({ event: JSON.stringify(event), bus: $('bus').value }));
  if (window.parent !== window && sent.length) window.parent.postMessage({ show: sent[0].correlation_id }, location.origin);
  return sent;
});
on('invoke', () => ask('POST', 'invoke?' + new URLSearchParams({ function: $('function').value }), $('payload').value));
on('fire', () => ask('POST', 'fire?' + new URLSearchParams({ schedule: $('schedule').value })));
on('break', () => ask('POST', 'faults', JSON.stringify($('faults').value.split('\n'))));
$('type').addEventListener('change', fill);

async function follow() {
  for (;;) {
    try {
      draw(await ask('GET', 'state?after=' + seen));
    } catch (error) {
      $('state').textContent = error.message;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}
if (token) sessionStorage.setItem('token', token);
follow();
