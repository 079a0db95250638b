'use strict';
// Outbound HTTP calls to the configured hosts: each attempt gets lineage headers, and its outcome is reported to the
// extension, which creates the span and the metrics.

const { crypto: { randomBytes } } = require('./builtins.cjs');
const { current } = require('./files.cjs');
const { Span, reachable, tell } = require('./loopback.cjs');
const { errorName, requests, subscribe, watch } = require('./watch.cjs');

const HEADERS = ['x-request-id', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'];

const patterns = (process.env.THROUGHLINE_HTTP_HOSTS || '*.alpaca.markets')
  .split(',').map((p) => p.trim().toLowerCase()).filter(Boolean);

function matches(host) {
  const name = String(host || '').toLowerCase();
  return patterns.some((p) => p === name || (p.startsWith('*.') && name.endsWith(p.slice(1))));
}

class Attempt {
  constructor(method, scheme, host, port, target) {
    this.span = new Span();
    this.current = current();
    const parent = String(this.current.traceparent || '').split('-');
    const valid = parent.length === 4 && parent[1].length === 32 && parent[2].length === 16;
    const random = randomBytes(24).toString('hex');
    this.traceID = valid ? parent[1] : random.slice(16);
    this.parentID = valid ? parent[2] : '';
    this.flags = valid ? parent[3] : '00';
    this.spanID = random.slice(0, 16);
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

  // end reports the attempt once. header returns a header of the response by its lower-case name.
  end(status, header, error) {
    if (this.ended) return;
    this.ended = true;
    const headers = {};
    for (const name of HEADERS) {
      const value = header(name);
      if (value) headers[name] = String(value);
    }
    tell('outbound', this.span, () => ({
      trace_id: this.traceID, span_id: this.spanID, parent_id: this.parentID, flags: this.flags,
      request_id: this.current.request_id || '', correlation_id: this.current.correlation_id || '',
      ...this.call, resend_count: 0, status: status || 0, error, headers,
    }));
  }
}

const none = () => undefined;

function begin(req, headersUnsent) {
  if (!matches(req.host || req.getHeader('host'))) return;
  const scheme = String(req.protocol || 'http:').slice(0, -1);
  const named = /:(\d+)$/.exec(String(req.getHeader('host') || ''));
  const attempt = new Attempt(req.method, scheme, req.host, named ? named[1] : scheme === 'https' ? 443 : 80, req.path);
  watch(req, {
    response: (res) => attempt.end(res.statusCode, (name) => res.headers[name], ''),
    error: (error) => attempt.end(0, none, errorName(error, req)),
    closed: () => attempt.end(0, none, req.aborted ? 'aborted' : 'closed'),
  });
  if (headersUnsent) {
    for (const [name, value] of Object.entries(attempt.headers())) {
      if (!req.hasHeader(name)) req.setHeader(name, value);
    }
  }
}

// undici, and so fetch, publishes each request on a diagnostics channel before it is written.
function subscribeToUndici() {
  const attempts = new WeakMap();
  const upgrades = new Map(); // attempts to open a WebSocket, and the sockets that they use
  subscribe('undici:request:create', ({ request: req }) => {
    const url = new URL(req.origin);
    if (!matches(url.hostname)) return;
    const attempt = new Attempt(req.method, url.protocol.slice(0, -1), url.hostname, url.port || (url.protocol === 'https:' ? 443 : 80), req.path);
    attempts.set(req, attempt);
    if (req.upgrade) upgrades.set(attempt, undefined);
    if (upgrades.size > 1000) upgrades.clear();
    const given = String(Array.isArray(req.headers) ? req.headers.join('\n') : req.headers || '').toLowerCase();
    for (const [name, value] of Object.entries(attempt.headers())) {
      if (!given.includes(name.toLowerCase())) req.addHeader(name, value);
    }
  });
  subscribe('undici:request:headers', ({ request: req, response }) => {
    const attempt = attempts.get(req);
    if (!attempt) return;
    attempt.end(response.statusCode, (name) => {
      for (let i = 0; i + 1 < response.headers.length; i += 2) {
        if (String(response.headers[i]).toLowerCase() === name) return String(response.headers[i + 1]);
      }
      return undefined;
    }, '');
  });
  subscribe('undici:request:error', ({ request: req, error }) => {
    const attempt = attempts.get(req);
    if (!attempt) return;
    upgrades.delete(attempt);
    attempt.end(0, none, errorName(error));
  });
  subscribe('undici:client:sendHeaders', ({ request: req, socket }) => {
    const attempt = attempts.get(req);
    if (upgrades.has(attempt)) upgrades.set(attempt, socket);
  });
  // The address is that of this end of the connection. Only later versions than that of Node.js 22 name the WebSocket.
  subscribe('undici:websocket:open', ({ address }) => {
    for (const [attempt, socket] of upgrades) {
      if (!socket || socket.localPort !== address.port || socket.localAddress !== address.address) continue;
      upgrades.delete(attempt);
      attempt.end(101, none, '');
      return;
    }
  });
}

function start() {
  if (!reachable) return;
  requests(begin);
  subscribeToUndici();
}

module.exports = { start };
