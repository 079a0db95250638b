'use strict';
// PutEvents calls of AWS's SDKs, to classic buses in JSON, and PutEvents and PutRawEvents to the new custom buses
// (EventBridgeV2) in CBOR. The shim holds the body of such a request until it is complete, requests the stamped body and
// its signed headers from the extension, and the user's own request sends them. Other requests are sent unchanged.

const { async_hooks: { AsyncResource }, http, timers } = require('./builtins.cjs');
const { read, write } = require('./files.cjs');
const { ASK, ask, reachable, trace } = require('./loopback.cjs');
const { Outcome } = require('./outcome.cjs');
const { bytesOf, dechunk, joined } = require('./response.cjs');
const { requests, sender, splice } = require('./watch.cjs');

// The originals, taken before a test framework replaces them.
const { setTimeout, clearTimeout } = timers;
const { nextTick } = process;

const GATHER = 1000; // ms for which a body is held while it is written
const LARGEST = (2 << 20) - (64 << 10); // bytes of the largest body that is stamped

const version = parseInt(process.versions.node, 10);
const success = version < 20 ? undefined : null; // the argument of a write's callback

// The host of requests to the events endpoint. The extension stamps and counts them there.
let eventsEndpoint = '';

// The headers that identify requests that put events: one for classic buses, another one on the paths of the new buses.
const CLASSIC = { name: 'x-amz-target', value: 'AWSEvents.PutEvents', cbor: false };
const NEW_BUS = { name: 'smithy-protocol', value: 'rpc-v2-cbor', cbor: true };
const NEW_BUS_PATHS = ['/service/AWSEventsV2/operation/PutEvents', '/service/AWSEventsV2/operation/PutRawEvents'];

// recognise returns the headers of a request that puts events, and whether its body is CBOR. It returns null for other
// requests.
function recognise(req, headersUnsent) {
  const { name: key, value: expected, cbor } = NEW_BUS_PATHS.includes(req.path) ? NEW_BUS : CLASSIC;
  if (req.method !== 'POST' || (headersUnsent && req.getHeader(key) !== expected)) return null;
  const headers = req.getHeaders();
  for (const name of Object.keys(headers)) {
    if (typeof headers[name] === 'number') headers[name] = String(headers[name]);
  }
  if (!headersUnsent) { // Node.js writes headers that are given as an array straight into the head
    for (const [, name, value] of String(req._header).matchAll(/\r\n([^:\r\n]+): ([^\r\n]*)/g)) headers[name.toLowerCase()] = value;
  }
  return headers[key] === expected && headers.host !== eventsEndpoint ? { headers, cbor } : null;
}

// unfit returns the reason why a request cannot be stamped, '' if it can.
function unfit(headers, headersUnsent) {
  const authorization = String(headers.authorization);
  const key = process.env.AWS_ACCESS_KEY_ID;
  const credential = /Credential=([^/,\s]+)\/\d+\/[^/,\s]+\/([^/,\s]+)\/aws4_request/.exec(authorization);
  if (headers.expect !== undefined) return 'expect';
  if (!headersUnsent || Object.values(headers).some(Array.isArray)) return 'headers';
  if (!authorization.startsWith('AWS4-HMAC-SHA256 ')) return 'algorithm';
  if (!credential || credential[2] !== 'events') return 'scope';
  if (key && credential[1] !== key) return 'key';
  if (headers['content-encoding'] !== undefined) return 'content-encoding';
  if (headers.trailer !== undefined) return 'trailer';
  if (/^(UNSIGNED|STREAMING)-/.test(headers['x-amz-content-sha256'])) return 'unsigned-payload';
  return '';
}

// patience returns for how many ms the request may be held: a fifth of its shortest known timeout.
function patience(req) {
  const options = (req.agent && req.agent.options) || {};
  const known = [req.timeout, options.timeout, req.socket && req.socket.timeout].filter((t) => t > 0);
  return Math.min(...known) / 5; // Infinity if no timeout is known
}

// changed returns the pieces of a body after the changes of a response: each removes bytes at an offset and inserts bytes
// of texts there. It returns null if a change does not fit the body.
function changed(body, changes, texts) {
  const pieces = [];
  let at = 0;
  let text = 0;
  for (const [offset, removed, added] of changes) {
    if (!(offset >= at && removed >= 0 && added >= 0 && offset + removed <= body.length)) return null;
    pieces.push(body.slice(at, offset), texts.slice(text, text + added));
    at = offset + removed;
    text += added;
  }
  pieces.push(body.slice(at));
  return text === texts.length ? pieces : null;
}

const held = new WeakMap(); // the Hold of each held request

// _send replaces the _send of a held request.
function _send(...piece) {
  const hold = held.get(this);
  const { length } = hold.pieces;
  try {
    return hold.take(...piece);
  } catch { // an error of the shim
    hold.raw('fault');
    return hold.pieces.length > length || this._send(...piece);
  }
}

// Hold buffers what a request writes until its body is complete and the extension has responded.
//
// It replaces _send, which write and end call after they have validated their arguments. So errors, return values and the
// state of the request are those of Node.js.
class Hold {
  constructor(req, headers, outcome) {
    this.req = req;
    this.headers = headers;
    this.outcome = outcome;
    this.pieces = [];
    this.size = 0;
    this.asked = false;
    this.released = false;
    this.pending = 0; // bytes that the request's outputSize includes
    this.timer = null;
    this.declared = undefined; // the Content-Length in the head, -1 for none
    this.body = ''; // the whole body, see response.cjs
    held.set(req, this);
    sender.set(req, _send);
  }

  // gather limits the time until the body is complete.
  gather() {
    if (this.timer || this.asked || this.released) return;
    this.timer = setTimeout(() => this.later(() => this.raw('slow')), Math.min(GATHER, patience(this.req)));
    this.timer.unref();
  }

  take(data, encoding, callback, length) {
    const { req } = this;
    if (data === '' && callback === undefined) { // called by flushHeaders
      this.raw('headers');
      return req._send(data, encoding, callback, length);
    }
    // The callback of end is called once the message is sent. That of a write is called now: the next write may wait for it.
    const last = typeof callback === 'function' && callback.name === 'bound onFinish';
    if (callback && !last) nextTick(callback, success);
    const bytes = bytesOf(data, encoding);
    const text = typeof data === 'string'; // the caller may reuse a buffer, so bytes has a copy
    this.pieces.push({ bytes, data: text ? data : bytes, encoding: text ? encoding : 'latin1', callback: last ? callback : undefined, length });
    this.size += bytes.length;
    this.count(data.length + (this.pieces.length === 1 ? req._header.length : 0));
    if (this.declared === undefined) {
      const declared = /\r\ncontent-length: (\d+)\r\n/i.exec(req._header);
      this.declared = declared ? Number(declared[1]) : -1;
    }
    const { declared } = this;
    const complete = req.chunkedEncoding ? last : this.size === declared;
    if (this.size > LARGEST) this.raw('size');
    else if (this.asked ? bytes.length > 0 : (last && !complete) || (declared >= 0 && this.size > declared)) this.raw('length');
    else if (complete && !this.asked) this.ask();
    else if (!complete) nextTick(() => this.later(() => (req.finished && !this.asked ? this.raw('length') : this.gather())));
    if (this.released || this.size < req.writableHighWaterMark) return true;
    nextTick(() => this.later(() => this.drain()));
    return false;
  }

  // later calls act, for which the caller does not wait. An error of the connection destroys the request with this error.
  later(act) {
    try {
      act();
    } catch (error) {
      this.req.destroy(error);
    }
  }

  // count adds to the request's outputSize, so that writableLength and writableFinished include the held bytes.
  count(length) {
    this.pending += length;
    this.req.outputSize += length;
  }

  // drain emits 'drain' for a writer that waits for it.
  drain() {
    const { req } = this;
    if (req.finished || req.destroyed || this.released) return;
    const needed = Object.getOwnPropertySymbols(req).find((symbol) => symbol.description === 'kNeedDrain');
    if (!needed || !req[needed]) return;
    req[needed] = false;
    nextTick(req.emit.bind(req, 'drain'));
  }

  ask() {
    const { req, outcome } = this;
    this.asked = true;
    clearTimeout(this.timer);
    const bytes = joined(this.pieces.map((piece) => piece.bytes));
    this.body = req.chunkedEncoding ? dechunk(bytes) : bytes;
    if (!this.body || this.body.length === 0) {
      this.raw('length');
      return;
    }
    const line = bytesOf(`${JSON.stringify({ method: req.method, path: req.path, headers: this.headers })}\n`);
    const context = new AsyncResource('THROUGHLINE'); // sending runs in the caller's async context
    const done = (failure, response) => context.runInAsyncScope(this.answered, this, failure, response);
    if (!ask(`sign${trace()}`, outcome.header, line, this.body, Math.min(ASK, patience(req)), done)) this.unasked('unreachable');
  }

  // unasked sends the held request unchanged, without a response of the extension, and reports its body: the extension makes
  // a span of it, which shows the published events.
  unasked(reason) {
    const { body, headers, outcome } = this;
    const query = `${trace() || '?'}&call=${outcome.id}&invocation=${encodeURIComponent(headers['amz-sdk-invocation-id'] || '')}&attempts=${encodeURIComponent(headers['amz-sdk-request'] || '')}`;
    if (!outcome.cbor && typeof body === 'string' && !body.includes('\n')) write(`events${query} ${body}\n`, 'latin1');
    this.raw(reason);
  }

  answered(failure, response) {
    if (this.released) return;
    if (this.req.destroyed) {
      this.release();
      this.outcome.report('cancelled');
      return;
    }
    this.later(() => {
      const stamped = failure ? null : this.stamped(response);
      if (stamped) this.send(stamped);
      else if (failure) this.unasked(failure);
      else this.raw(response.header('throughline-reason') || (response.status === 204 ? '' : 'answer'));
    });
  }

  // stamped returns the head and the pieces of the body according to a response, or null if the response is unusable.
  stamped({ status, body }) {
    const end = body.indexOf('\n');
    if (status !== 200 || end < 0) return null;
    let pieces;
    let headers;
    try {
      const line = JSON.parse(body.slice(0, end));
      pieces = changed(this.body, line.changes, body.slice(end + 1));
      headers = { ...line.headers };
    } catch {
      return null;
    }
    const length = pieces ? pieces.reduce((sum, piece) => sum + piece.length, 0) : 0;
    if (length === 0 || headers.authorization === undefined) return null;
    if (this.req.chunkedEncoding) {
      delete headers['content-length'];
      pieces = [`${length.toString(16)}\r\n`, ...pieces, '\r\n0\r\n\r\n'];
    } else {
      headers['content-length'] = String(length);
    }
    const head = splice(this.req._header, headers);
    return head ? { head, pieces } : null;
  }

  release() {
    this.released = true;
    this.count(-this.pending);
    clearTimeout(this.timer);
    held.delete(this.req);
    sender.delete(this.req);
  }

  send({ head, pieces }) {
    const { req } = this;
    this.release();
    this.outcome.sent(true, '');
    req._header = head;
    const { callback } = this.pieces[this.pieces.length - 1];
    const all = typeof this.body === 'string' ? [pieces.join('')] : pieces.filter((piece) => piece.length > 0);
    this.write(all.map((data, i) => ({ data, encoding: 'latin1', callback: i === all.length - 1 ? callback : undefined, length: data.length })));
  }

  // raw sends the held request unchanged.
  raw(reason) {
    if (this.released) return;
    this.release();
    if (this.req.destroyed) return;
    this.outcome.sent(false, reason);
    this.write(this.pieces);
  }

  write(pieces) {
    const { req } = this;
    const { socket } = req;
    if (socket) socket.cork();
    for (const { data, encoding, callback, length } of pieces) req._send(data, encoding, callback, length);
    if (socket) socket.uncork();
  }
}

function begin(req, headersUnsent) {
  const put = recognise(req, headersUnsent);
  if (!put) return;
  const { headers, cbor } = put;
  const outcome = new Outcome(req, headers, cbor);
  const reason = Outcome.refused ? 'refused' : unfit(headers, headersUnsent);
  if (reason) outcome.sent(false, reason);
  else new Hold(req, headers, outcome);
}

function start() {
  if (!reachable || typeof http.OutgoingMessage.prototype._send !== 'function' || version < 18 || !sender.start()) return;
  try {
    [, eventsEndpoint] = /^events=(.*)$/m.exec(read('endpoints').toString());
  } catch { /* there is no events endpoint */ }
  requests(begin);
}

module.exports = { start };
