'use strict';

const { crypto: { randomBytes }, fs } = require('./builtins.cjs');
const { Span, later, tell } = require('./loopback.cjs');
const { Response } = require('./response.cjs');
const { errorName, watch } = require('./watch.cjs');

const ANSWER = 64 << 10; // bytes of EventBridge's answer that are read
const TOLD = 32 << 10; // bytes of an answer in CBOR that are told
const SKEW = 240000; // ms; AWS allows five minutes

// An ID tells the calls of one extension's processes apart, and need not be hard to guess.
const first = randomBytes(12).toString('hex');
let count = 0;
const nextID = () => first + (count++ % 2 ** 32).toString(16).padStart(8, '0');

// errorType is the __type of an error in CBOR, a text of a definite length, '' where it cannot be told. body is bytes.
function errorType(body) {
  const at = body.indexOf('f__type') + 7;
  if (at < 7) return '';
  const head = body.charCodeAt(at);
  if (head >= 0x60 && head < 0x78) return body.slice(at + 1, at + 1 + head - 0x60);
  return head === 0x78 ? body.slice(at + 2, at + 2 + body.charCodeAt(at + 1)) : '';
}

// Outcome reports what became of one attempt to put events. It reads EventBridge's answer beside the user's client: the
// bytes are looked at as the connection hands them out, and stay where they are.
class Outcome {
  constructor(req, headers, cbor = false) {
    this.headers = headers;
    this.cbor = cbor; // what is asked and answered is CBOR
    this.span = new Span();
    this.id = nextID();
    this.header = `Throughline-Call: ${this.id}\r\n`;
    this.stamped = false;
    this.reason = '';
    this.received = new Response(ANSWER);
    this.chunks = []; // that are not read yet
    this.stop = () => {};
    this.connection = null;
    this.ready = false;
    this.reported = false;
    this.req = req;
    watch(req, this);
  }

  // sent says that the request is written now, and how.
  sent(stamped, reason) {
    this.stamped = stamped;
    this.reason = reason;
    this.ready = true;
    if (this.req.socket) this.connection = this.req.socket;
    if (this.connection) this.read();
  }

  socket(socket) {
    this.connection = socket;
    if (this.ready) this.read();
  }

  // read looks at what arrives; the caller gets it as if nobody did.
  read() {
    const socket = this.connection;
    const look = (chunk) => {
      this.span.end(); // for now
      // A refusal is known before the SDK tries again: its status begins with 4.
      if (this.chunks.push(chunk) === 1 && !(chunk[9] >= 0x34)) later(() => this.readAll());
      else this.readAll();
    };
    socket.prependListener('data', look);
    this.stop = () => {
      this.stop = () => {};
      socket.removeListener('data', look);
    };
  }

  readAll() {
    for (const chunk of this.chunks.splice(0)) {
      if (this.received.take(chunk.toString('latin1'))) {
        this.stop();
        this.answered();
        return;
      }
    }
  }

  answered() {
    const { received: response } = this;
    const { status } = response;
    if (!status) return; // no HTTP: an error follows
    const refused = status >= 400 ? this.answer() : null;
    if (refused && this.stamped) this.suspect(refused.error, Date.parse(response.header('date')));
    this.report('answered', () => ({ status, ...(refused || this.answer()) }));
  }

  // answer is what EventBridge said of the entries, and the code of its error. The extension reads CBOR.
  answer() {
    const { received: response } = this;
    if (this.cbor && response.body && response.header('smithy-protocol') === 'rpc-v2-cbor') {
      const error = response.status < 400 ? '' : errorType(response.body).split('#').pop();
      return { error, answer: Buffer.from(response.body.slice(0, TOLD), 'latin1').toString('base64') };
    }
    let answer;
    try {
      answer = JSON.parse(response.body); // what is read of it is ASCII
    } catch { /* compressed, or no JSON */ }
    const { Entries: list, __type: type } = Object(answer);
    const entries = Array.isArray(list) ? list.map(({ EventId, ErrorCode }) => ({ EventId, ErrorCode })) : undefined;
    // Such as "com.amazonaws.events#ThrottlingException:http://…".
    const error = response.status < 400 ? '' : (response.header('x-amzn-errortype') || String(type || '')).split(':')[0].split('#').pop();
    return { entries, error };
  }

  // suspect ends the stamping where EventBridge refuses our signature. A clock that is wrong is not our failure: the
  // caller's signature would have been refused as well.
  suspect(error, date) {
    if (!/signature/i.test(error) || Outcome.refused) return;
    const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(this.headers['x-amz-date'] || '') || [];
    const signed = Date.UTC(parts[0], parts[1] - 1, ...parts.slice(2));
    if (Math.abs(date - signed) > SKEW) return;
    Outcome.refused = true;
    fs.writeSync(2, `throughline: node: events are not stamped any more: EventBridge refused a stamped request (${error.replace(/[^\w.#:/-]/g, '?').slice(0, 100)})\n`);
  }

  error(e) {
    const error = errorName(e, this.req);
    this.report(error === 'aborted' ? 'cancelled' : 'failed', () => ({ error }));
  }

  closed() {
    this.readAll();
    this.stop();
    const { status } = this.received;
    if (status) this.report('answered', () => ({ status }));
    else this.report(this.req.destroyed && !this.req.res ? 'cancelled' : 'unknown');
  }

  // report tells the outcome, once. fields returns what else there is to tell.
  report(outcome, fields = () => ({})) {
    if (this.reported) return;
    this.reported = true;
    tell(`events/${this.id}`, this.span, () => ({
      outcome, stamped: this.stamped, reason: this.reason, status: 0, ...fields(), invocation_id: this.headers['amz-sdk-invocation-id'],
    }));
  }
}

Outcome.refused = false; // whether EventBridge refused a request that was stamped

module.exports = { Outcome };
