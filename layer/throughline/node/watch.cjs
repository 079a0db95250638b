'use strict';
// Observes requests of http and https. The only listener on them is one of errorMonitor, and no method is wrapped:
// properties that Node.js reads at the right moments get a getter, which observes the request and returns the original
// value. So listener counts and defaults do not change, and no stack trace contains the shim.

const { diagnostics_channel: channels, events: { errorMonitor }, http } = require('./builtins.cjs');

const begun = new WeakSet();
const kept = []; // old versions garbage-collect an unreferenced channel with its subscribers

function guarded(handle) {
  return (...args) => {
    try {
      return handle(...args);
    } catch {
      return undefined; // the call continues unchanged
    }
  };
}

function subscribe(name, handle) {
  const channel = channels.channel(name);
  kept.push(channel);
  channel.subscribe(guarded(handle));
}

// onRead calls look(object) when a method of an object with this prototype is about to be called. If look returns a
// function, that is called instead. The getter is on the prototype, so that objects keep their shape: own properties would
// slow down everything that Node.js does with them. set(object, replacement), if given, handles an assignment to an object.
// onRead returns false if the property cannot be replaced.
function onRead(prototype, name, look, set = assign) {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  if (own && (typeof own.value !== 'function' || !own.configurable)) return false;
  const parent = Object.getPrototypeOf(prototype);
  let value = own && own.value;
  let inherited = parent;
  while (!own && inherited && !Object.prototype.hasOwnProperty.call(inherited, name)) inherited = Object.getPrototypeOf(inherited);
  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: own ? own.enumerable : Boolean(inherited) && Object.prototype.propertyIsEnumerable.call(inherited, name),
    get() {
      return (this !== prototype && look(this)) || value || parent[name];
    },
    set(replacement) {
      if (this === prototype) value = replacement;
      else set(this, replacement, name);
    },
  });
  return true;
}

function assign(object, value, name) {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
}

const senders = new WeakMap();

// sender replaces the _send of single requests, which write and end call after they have validated their arguments. start
// returns false if this is not possible.
const sender = {
  set(req, send) { senders.set(req, send); },
  delete(req) { senders.delete(req); },
  start() {
    if (this.works === undefined) this.works = onRead(http.ClientRequest.prototype, '_send', (req) => senders.get(req));
    return this.works;
  },
};

// splice replaces the values of fields in a message's head. It returns '' if the head does not have each exactly once.
function splice(head, fields) {
  const lower = head.toLowerCase();
  const places = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    const field = `\r\n${name}: `;
    const at = lower.indexOf(field);
    if (typeof value !== 'string' || /[^\x20-\x7e]/.test(value) || at < 0 || lower.includes(field, at + 1)) return '';
    places.push({ start: at + field.length, end: head.indexOf('\r\n', at + 2), value });
  }
  let spliced = '';
  let at = 0;
  for (const { start, end, value } of places.sort((a, b) => a.start - b.start)) {
    spliced += head.slice(at, start) + value;
    at = end;
  }
  return spliced + head.slice(at);
}

const handlers = [];

function begin(req, headersUnsent) {
  if (begun.has(req)) return;
  begun.add(req);
  for (const handle of handlers) handle(req, headersUnsent);
}

// requests calls handle(req, headersUnsent) once for each client request: when its headers are complete and about to be
// written, or, if the constructor has written them, when the request has been sent.
function requests(handle) {
  handlers.push(guarded(handle));
  if (handlers.length > 1) return;
  const { prototype } = http.ClientRequest;
  if (!onRead(prototype, '_implicitHeader', (req) => { if (req._header === null) begin(req, true); })) return;
  subscribe('http.client.request.start', ({ request }) => begin(request, false));
}

const watched = new WeakMap(); // the Watch of each request
let looking; // whether the prototype's emit has a getter

// Watch observes the state of a request before each of its events.
class Watch {
  constructor(req, seen) {
    this.req = req;
    this.seen = seen;
    this.told = { socket: false, response: false, error: false, closed: false };
  }

  tell(name, argument) {
    if (this.told[name]) return;
    this.told[name] = true;
    try {
      if (typeof this.seen[name] === 'function') this.seen[name](argument);
    } catch { /* the call continues unchanged */ }
  }

  look() {
    const { req, told } = this;
    if (!told.socket && req.socket) this.tell('socket', req.socket);
    if (!told.response && req.res) this.tell('response', req.res);
    if (!told.closed && req._closed) this.tell('closed');
  }
}

// watchOwn does the same for a request with an emit property of its own, as tracers set it.
function watchOwn(req, watch, own) {
  let { value } = own;
  Object.defineProperty(req, 'emit', {
    configurable: true,
    enumerable: own.enumerable,
    get() {
      watch.look();
      return own.get ? own.get.call(req) : value || Object.getPrototypeOf(req).emit;
    },
    set(replacement) {
      if (own.set) own.set.call(req, replacement);
      else value = replacement;
    },
  });
}

// watch reports on a request: it calls seen.socket(socket) and seen.response(res) when the request has one (also that of an
// upgrade or a CONNECT), seen.error(error), and seen.closed(). Each of them is optional, and called at most once.
function watch(req, seen) {
  const w = new Watch(req, seen);
  // A write after the end is the caller's error, and the request continues.
  req.on(errorMonitor, (error) => error && error.code === 'ERR_STREAM_WRITE_AFTER_END' || w.tell('error', error));
  if (looking === undefined) {
    looking = onRead(http.ClientRequest.prototype, 'emit', (r) => { const it = watched.get(r); if (it) it.look(); }, (r, value) => {
      const it = watched.get(r);
      if (it) watchOwn(r, it, { value, enumerable: true });
      else assign(r, value, 'emit');
    });
  }
  const own = Object.getOwnPropertyDescriptor(req, 'emit');
  if (own || !looking) watchOwn(req, w, own || { enumerable: false });
  else watched.set(req, w);
}

const gaveUp = ['AbortError', 'ABORT_ERR', 'TimeoutError', 'UND_ERR_ABORTED'];

// errorName returns the code or the class of an error, 'aborted' if the caller aborted the request.
function errorName(error, req) {
  const code = error && (typeof error.code === 'string' ? error.code : error.name);
  const hungUp = code === 'ECONNRESET' && !error.syscall && req && req.destroyed;
  if (hungUp || gaveUp.includes(code)) return 'aborted';
  return String(code || 'error');
}

module.exports = { errorName, requests, sender, splice, subscribe, watch };
