'use strict';
// The shim's side of docs/loopback.md: short exchanges with the extension on the shim's own sockets, which no
// instrumentation of http observes, and reports through the extension's named pipe.

const { async_hooks: { AsyncResource }, net, timers } = require('./builtins.cjs');
const { write } = require('./files.cjs');
const { Response, bytesOf } = require('./response.cjs');

// The originals, taken before a test framework replaces them.
const { setTimeout, clearTimeout, setImmediate } = timers;
const { nextTick } = process;
const hrtime = process.hrtime.bigint;

const ASK = 40; // ms for a request, for which a call waits; about 50 ms with the delay of timers
const TELL = 1000; // ms for a report, for which nothing waits
const TARDY = 20; // ms: a timer that fires later than this shows that the process did not run
// The first and the longest pause after failures, in ms; each further failure doubles the pause.
const GONE = [30000, 600000];
const SLOW = [1000, 30000]; // if the response arrived late
const CONNECTIONS = 8;
const REPORTS = 256; // reports that may wait; further ones are dropped
const ANSWER = 1 << 20; // bytes of a response that are read at most
const READ = 16 << 10; // bytes that are read at once

const address = /^(127\.0\.0\.1|localhost):(\d+)$/.exec(process.env.AWS_LAMBDA_RUNTIME_API || '');
const root = new AsyncResource('THROUGHLINE'); // sockets are in no async context of the user
let { connect } = net.Socket.prototype;
while (typeof connect.__original === 'function') connect = connect.__original; // a tracer's patch

const now = () => Number(hrtime() / 1000000n); // ms

// Gate is closed for a while after a failure, so that nothing is sent. The pause is short if the response arrived late.
class Gate {
  constructor() {
    this.failures = 0; // since the last success
    this.failed = 0; // time of the last failure
    this.until = 0;
  }

  get closed() {
    return this.until > 0 && now() < this.until;
  }

  result(failed) {
    this.failures = failed ? this.failures + 1 : 0;
    this.failed = now();
    this.until = failed ? this.failed + this.pause(GONE) : 0;
  }

  // came records that a late response has arrived.
  came() {
    this.until = Math.min(this.until, this.failed + this.pause(SLOW));
  }

  pause([first, longest]) {
    return Math.min(first * 2 ** Math.min(this.failures - 1, 8), longest);
  }
}

const asking = new Gate();
const telling = new Gate();
const idle = [];
const questions = []; // exchanges that wait for a connection
const reports = [];
let connections = 0;
let late = null; // the last connection whose response missed the deadline

class Connection {
  constructor() {
    connections++;
    this.call = null;
    this.response = null;
    root.runInAsyncScope(() => {
      // A buffer of its own saves the 64 KiB that each read allocates otherwise.
      this.socket = new net.Socket({ onread: { buffer: Buffer.allocUnsafeSlow(READ), callback: (size, buffer) => this.read(size, buffer) } });
      this.socket.on('error', () => {}); // 'close' follows
      this.socket.on('close', () => this.closed());
      this.socket.setNoDelay(true);
      connect.call(this.socket, Number(address[2]), address[1]);
    });
  }

  send(call) {
    this.call = call;
    call.connection = this;
    this.response = new Response(ANSWER);
    if (call.asks) this.socket.ref();
    else this.socket.unref();
    if (typeof call.bytes === 'string') {
      this.socket.write(call.head + call.bytes, 'latin1');
      return;
    }
    this.socket.cork();
    this.socket.write(call.head, 'latin1');
    this.socket.write(call.bytes);
    this.socket.uncork();
  }

  read(size, buffer) {
    const { call, response } = this;
    if (!call) {
      this.socket.destroy();
      return true;
    }
    if (call.over) call.gate.came();
    const enough = response.take(buffer.toString('latin1', 0, size));
    if (response.body !== null) {
      this.call = null;
      this.socket.unref();
      if (response.header('connection').toLowerCase() === 'close') this.socket.destroy();
      else idle.push(this);
      end(call, '', response);
      next();
    } else if (enough) {
      this.socket.destroy();
    }
    return true;
  }

  // wait keeps the connection open for a late response.
  wait() {
    if (late) late.socket.destroy();
    late = this;
    this.socket.unref();
  }

  closed() {
    connections--;
    if (late === this) late = null;
    const at = idle.indexOf(this);
    if (at >= 0) idle.splice(at, 1);
    const { call } = this;
    this.call = null;
    // The extension may have closed a connection that was idle for a long time.
    if (call && !call.over && call.reused && !this.response.started) begin(call);
    else if (call) end(call, 'unreachable');
    next();
  }
}

function begin(call) {
  call.reused = !call.reused && idle.length > 0;
  (call.reused ? idle.pop() : new Connection()).send(call);
}

function next() {
  while (idle.length > 0 || connections < CONNECTIONS) {
    const call = questions.shift() || reports.shift();
    if (!call) return;
    if (!call.over) begin(call);
  }
}

function end(call, failure, response) {
  if (call.over) return;
  call.over = true;
  clearTimeout(call.timer);
  if (failure !== 'busy') call.gate.result(failure !== '');
  call.done(failure, response);
}

// If the process was frozen between invocations, or busy, the response may have arrived unread. If the extension was frozen
// too, it has yet to respond. So the exchange gets its full time once more.
function expired(call) {
  if (now() - call.since > call.limit + TARDY && !call.again) {
    call.again = true;
    call.since = now();
    arm(call);
    return;
  }
  setImmediate(() => {
    if (call.over) return;
    end(call, call.connection ? 'late' : 'busy');
    if (call.connection) call.connection.wait();
  });
}

function arm(call) {
  call.timer = setTimeout(expired, call.limit, call);
  if (!call.asks) call.timer.unref();
}

function exchange(asks, name, type, headers, line, bytes, limit, done) {
  const size = line.length + bytes.length;
  const head = `POST /throughline/v1/${name} HTTP/1.1\r\nHost: ${address[0]}\r\nContent-Type: ${type}\r\n${headers}Content-Length: ${size}\r\n\r\n${line}`;
  const call = { asks, gate: asks ? asking : telling, head, bytes, limit, since: now(), done, connection: null, timer: null, over: false, again: false, reused: false };
  arm(call);
  if (idle.length > 0) {
    begin(call);
    return;
  }
  // Not in the caller's stack: after a call of runInAsyncScope, Node.js 22 and 24 lose an exception that is thrown later in
  // the same callback of their HTTP parser.
  nextTick(() => {
    (asks ? questions : reports).push(call);
    next();
  });
}

// ask sends a request, a line and bytes, and later calls done once: with '' and the response, or with the reason why there is
// none ('unreachable', 'late', 'busy'). limit is in ms and at most ASK. ask returns false if it sends nothing.
function ask(name, headers, line, bytes, limit, done) {
  if (!address || asking.closed) return false;
  exchange(true, name, 'application/octet-stream', headers, line, bytes, Math.min(limit, ASK), done);
  return true;
}

const postponed = [];
let scheduled = false;

// later calls act after the current phase of the event loop, or when the process exits, so that nothing waits for it.
function later(act) {
  postponed.push(act);
  if (scheduled) return;
  scheduled = true;
  setImmediate(actNow);
  if (process.listenerCount('exit') < process.getMaxListeners()) process.on('exit', actNow);
}

// actNow calls everything that is postponed.
function actNow() {
  while (postponed.length > 0) {
    try {
      postponed.shift()();
    } catch { /* there is no report then */ }
  }
  scheduled = false;
  process.removeListener('exit', actNow);
}

// tell ends span and sends a report with its times, later. object returns the report's other members.
function tell(name, span, object) {
  if (!address || postponed.length + reports.length >= REPORTS) return;
  if (span.took === null) span.end();
  later(() => {
    const report = span.json(object());
    if (write(`${name} ${report}\n`) || telling.closed) return;
    exchange(false, name, 'application/json', '', '', bytesOf(report), TELL, () => {});
  });
}

// trace returns the query that identifies the invocation.
function trace() {
  const id = process.env._X_AMZN_TRACE_ID;
  return id ? `?trace=${encodeURIComponent(id)}` : '';
}

// Span measures the start and the duration of an operation.
class Span {
  constructor() {
    this.start = Date.now(); // ms
    this.clock = hrtime();
    this.took = null; // ns
  }

  // end sets the duration. tell calls it if the span has not ended.
  end() {
    this.took = hrtime() - this.clock;
  }

  // json returns an object as JSON with the start and end times. They are added as text, because a JavaScript number cannot
  // represent nanoseconds exactly.
  json(object) {
    const start = BigInt(this.start) * 1000000n;
    return JSON.stringify(object).replace(/}$/, `,"start_unix_nano":${start},"end_unix_nano":${start + this.took}}`);
  }
}

module.exports = { ASK, Span, actNow, ask, later, tell, trace, reachable: Boolean(address) };
