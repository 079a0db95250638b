'use strict';
// How requests of http and https are seen. There is no listener on them but for errorMonitor, and no function of ours is
// called by name in their place: properties that Node.js reads at the right moments get a getter, which looks at the
// request and returns what was there. So listener counts and defaults stay, and no stack trace shows us.

const { diagnostics_channel: channels, events: { errorMonitor }, http } = require('./builtins.cjs');

const begun = new WeakSet();
const kept = []; // old versions collect a channel that nobody holds, with its subscribers

function guarded(handle) {
  return (...args) => {
    try {
      return handle(...args);
    } catch {
      return undefined; // the call goes on as it was
    }
  };
}

function subscribe(name, handle) {
  const channel = channels.channel(name);
  kept.push(channel);
  channel.subscribe(guarded(handle));
}

// onRead calls look(object) when a method of an object with this prototype is about to be called. What look returns, if
// anything, is called in its place. Objects keep their shape by that: with properties of their own, all that Node.js does
// with them would get slow. set(object, replacement), if given, handles an assignment to an object. onRead returns false
// where it can do nothing.
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

// sender has functions called in the place of the _send of requests, which write and end call after they checked their
// arguments. start returns false where that cannot be.
const sender = {
  set(req, send) { senders.set(req, send); },
  delete(req) { senders.delete(req); },
  start() {
    if (this.works === undefined) this.works = onRead(http.ClientRequest.prototype, '_send', (req) => senders.get(req));
    return this.works;
  },
};

// splice replaces the values of fields in a message's head. It returns '' where one is not there exactly once.
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
// written, or, where they were written by the constructor, when it was sent.
function requests(handle) {
  handlers.push(guarded(handle));
  if (handlers.length > 1) return;
  const { prototype } = http.ClientRequest;
  if (!onRead(prototype, '_implicitHeader', (req) => { if (req._header === null) begin(req, true); })) return;
  subscribe('http.client.request.start', ({ request }) => begin(request, false));
}

const watched = new WeakMap(); // requests, with what looks at them
let looking; // whether emit is read by way of the prototype

// Watch looks at a request before each of its events.
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
    } catch { /* the call goes on as it was */ }
  }

  look() {
    const { req, told } = this;
    if (!told.socket && req.socket) this.tell('socket', req.socket);
    if (!told.response && req.res) this.tell('response', req.res);
    if (!told.closed && req._closed) this.tell('closed');
  }
}

// watchOwn looks before each reading of a request's own emit, as a tracer sets it.
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

// watch tells of a request: seen.socket(socket) and seen.response(res) when it has one (also that of an upgrade or a
// CONNECT), seen.error(error), seen.closed(). Each of them is optional, and called at most once.
function watch(req, seen) {
  const w = new Watch(req, seen);
  // A write after the end is an error of the caller's, and the request goes on.
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

// errorName is the code or the class of an error; 'aborted' where the caller gave up.
function errorName(error, req) {
  const code = error && (typeof error.code === 'string' ? error.code : error.name);
  const hungUp = code === 'ECONNRESET' && !error.syscall && req && req.destroyed;
  if (hungUp || gaveUp.includes(code)) return 'aborted';
  return String(code || 'error');
}

module.exports = { errorName, requests, sender, splice, subscribe, watch };
