'use strict';
// Outbound HTTP calls of unmodified Node code, seen: lineage headers on the
// configured hosts, and each attempt told to the extension, which makes the span
// and the metrics of it. http and https by patch; fetch and undici by
// diagnostics_channel, which they publish to. Whatever fails in here fails
// silently and leaves the client as it was.

const channels = require('node:diagnostics_channel');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');

const HEADERS = ['x-request-id', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'];
const PAUSE = 30000; // ms without a try after the extension did not answer

// The wrapper points the runtime at the extension, which answers us there too.
const [runtimeHost, runtimePort] = (process.env.AWS_LAMBDA_RUNTIME_API || '').split(':');
const patterns = (process.env.THROUGHLINE_HTTP_HOSTS || '*.alpaca.markets')
  .split(',').map((p) => p.trim().toLowerCase()).filter(Boolean);
const currentFile = path.join(process.env.TMPDIR || '/tmp', 'throughline', 'current');

const request = http.request; // as it was, for our own posts
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
let quietUntil = 0;

function matches(host) {
  const name = String(host || '').toLowerCase();
  return patterns.some((p) => p === name || (p.startsWith('*.') && name.endsWith(p.slice(1))));
}

// The event being handled. Headers must be set before the call returns, so this
// cannot wait for an answer: the extension keeps the file as new as its endpoint.
// It is written in place, after the FNV-1a sum that tells whether what was read
// is one writing.
function current() {
  try {
    let text;
    for (let tries = 0; tries < 100 && text === undefined; tries++) {
      const read = fs.readFileSync(currentFile);
      if (read.length === 0) return {}; // nothing was handled yet
      const end = read.indexOf(10, 9);
      if (end < 0) continue; // it grows just now
      let sum = 0x811c9dc5;
      for (let i = 9; i < end; i++) sum = Math.imul(sum ^ read[i], 0x01000193);
      if ((sum >>> 0) === parseInt(read.toString('latin1', 0, 8), 16)) text = read.toString('utf8', 9, end);
    }
    const list = JSON.parse(text);
    if (list.length === 1) return list[0];
    const trace = process.env._X_AMZN_TRACE_ID;
    const fitting = list.filter((c) => trace && c.trace === trace);
    return fitting.length === 1 ? fitting[0] : {};
  } catch {
    return {};
  }
}

class Attempt {
  constructor(method, scheme, host, port, target) {
    this.start = Date.now();
    this.clock = process.hrtime.bigint();
    this.current = current();
    const parent = String(this.current.traceparent || '').split('-');
    const valid = parent.length === 4 && parent[1].length === 32 && parent[2].length === 16;
    this.traceID = valid ? parent[1] : crypto.randomBytes(16).toString('hex');
    this.parentID = valid ? parent[2] : '';
    this.flags = valid ? parent[3] : '00';
    this.spanID = crypto.randomBytes(8).toString('hex');
    this.call = {
      method: String(method || 'GET').toUpperCase(), scheme, host: String(host), port: Number(port) || 0,
      path: String(target || '/').split('?')[0].split('#')[0],
    };
  }

  headers() {
    const ours = { traceparent: `00-${this.traceID}-${this.spanID}-${this.flags}` };
    if (this.current.correlation_id) ours['X-Correlation-ID'] = this.current.correlation_id;
    if (this.current.causation_id) ours['X-Causation-ID'] = this.current.causation_id;
    return ours;
  }

  end(status, header, error) {
    if (this.ended) return;
    this.ended = true;
    const seen = {};
    for (const name of HEADERS) {
      const value = header(name);
      if (value) seen[name] = String(value);
    }
    const start = BigInt(this.start) * 1000000n;
    // Written as text: a number of this size is not exact in JavaScript.
    tell(JSON.stringify({
      trace_id: this.traceID, span_id: this.spanID, parent_id: this.parentID, flags: this.flags,
      request_id: this.current.request_id || '', correlation_id: this.current.correlation_id || '',
      ...this.call, resend_count: 0, status: status || 0, error: error || '', headers: seen,
    }).replace(/}$/, `,"start_unix_nano":${start},"end_unix_nano":${start + process.hrtime.bigint() - this.clock}}`));
  }
}

function tell(body) {
  if (Date.now() < quietUntil) return;
  const post = request({
    host: runtimeHost, port: runtimePort, method: 'POST', path: '/throughline/v1/outbound', agent,
    headers: { 'content-length': Buffer.byteLength(body) }, timeout: 1000, // nobody waits for it
  }, (response) => response.resume());
  const quiet = () => { quietUntil = Date.now() + PAUSE; post.destroy(); };
  post.on('error', quiet);
  post.on('timeout', quiet);
  post.on('socket', (socket) => socket.unref());
  post.end(body);
}

const none = () => undefined;

// begin sets the headers of a request that has sent none yet.
function begin(req, scheme) {
  const host = req.host || req.getHeader('host');
  if (!matches(host) || req.headersSent) return;
  const named = /:(\d+)$/.exec(String(req.getHeader('host') || ''));
  const attempt = new Attempt(req.method, scheme, host, named ? named[1] : scheme === 'https' ? 443 : 80, req.path);
  for (const [name, value] of Object.entries(attempt.headers())) {
    if (!req.hasHeader(name)) req.setHeader(name, value);
  }
  req.prependOnceListener('response', (res) => attempt.end(res.statusCode, (name) => res.headers[name]));
  req.once('error', (error) => attempt.end(0, none, error.code || error.name));
  req.once('close', () => attempt.end(0, none, 'closed'));
}

function patch(module, scheme) {
  const original = module.request;
  module.request = function throughlineRequest(...args) {
    const req = original.apply(this, args);
    try {
      begin(req, scheme);
    } catch { /* the call goes on as it was */ }
    return req;
  };
  // get calls the module's own request, not the exported one.
  module.get = function throughlineGet(...args) {
    const req = module.request(...args);
    req.end();
    return req;
  };
}

// fetch and undici publish each request before it is written.
function subscribe() {
  const attempts = new WeakMap();
  const guard = (handle) => (message) => {
    try {
      handle(message);
    } catch { /* the call goes on as it was */ }
  };
  channels.subscribe('undici:request:create', guard(({ request: req }) => {
    const url = new URL(req.origin);
    if (!matches(url.hostname)) return;
    const attempt = new Attempt(req.method, url.protocol.slice(0, -1), url.hostname, url.port, req.path);
    const given = String(Array.isArray(req.headers) ? req.headers.join('\n') : req.headers || '').toLowerCase();
    for (const [name, value] of Object.entries(attempt.headers())) {
      if (!given.includes(name.toLowerCase())) req.addHeader(name, value);
    }
    attempts.set(req, attempt);
  }));
  channels.subscribe('undici:request:headers', guard(({ request: req, response }) => {
    const attempt = attempts.get(req);
    if (!attempt) return;
    attempt.end(response.statusCode, (name) => {
      for (let i = 0; i + 1 < response.headers.length; i += 2) {
        if (String(response.headers[i]).toLowerCase() === name) return String(response.headers[i + 1]);
      }
      return undefined;
    });
  }));
  channels.subscribe('undici:request:error', guard(({ request: req, error }) => {
    const attempt = attempts.get(req);
    if (attempt) attempt.end(0, none, (error && (error.code || error.name)) || 'error');
  }));
}

try {
  if (runtimePort) {
    patch(http, 'http');
    patch(https, 'https');
    // Code that was written as a module imports a copy of the exported names.
    require('node:module').syncBuiltinESMExports();
    subscribe();
  }
} catch { /* never the function's trouble */ }
