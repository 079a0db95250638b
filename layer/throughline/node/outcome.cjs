'use strict';

const { crypto: { randomBytes }, fs } = require('./builtins.cjs');
const { Span, later, tell } = require('./loopback.cjs');
const { Response } = require('./response.cjs');
const { errorName, watch } = require('./watch.cjs');

const ANSWER = 64 << 10; // bytes of EventBridge's response that are read
const TOLD = 32 << 10; // bytes of a response in CBOR that are reported
const SKEW = 240000; // ms; AWS allows five minutes

// IDs must be unique among the processes of one extension, and may be easy to guess.
const first = randomBytes(12).toString('hex');
let count = 0;
const nextID = () => first + (count++ % 2 ** 32).toString(16).padStart(8, '0');

// errorType returns the __type of an error in CBOR, a text of definite length, or '' if it is not found. body is bytes.
function errorType(body) {
  const at = body.indexOf('f__type') + 7;
  if (at < 7) return '';
  const head = body.charCodeAt(at);
  if (head >= 0x60 && head < 0x78) return body.slice(at + 1, at + 1 + head - 0x60);
  return head === 0x78 ? body.slice(at + 2, at + 2 + body.charCodeAt(at + 1)) : '';
}

// Outcome reports the outcome of one attempt to put events. It reads EventBridge's response along with the user's client,
// when the connection emits the bytes, and does not consume them.
class Outcome {
  constructor(req, headers, cbor = false) {
    this.headers = headers;
    this.cbor = cbor; // request and response are CBOR
    this.span = new Span();
    this.id = nextID();
    this.header = `Throughline-Call: ${this.id}\r\n`;
    this.stamped = false;
    this.reason = '';
    this.received = new Response(ANSWER);
    this.chunks = []; // received and not read yet
    this.stop = () => {};
    this.connection = null;
    this.ready = false;
    this.reported = false;
    this.req = req;
    watch(req, this);
  }

  // sent records that the request is being written, whether stamped, and if not, why.
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

  // read observes the data that arrives. The caller receives it as without the shim.
  read() {
    const socket = this.connection;
    const look = (chunk) => {
      this.span.end(); // until more data arrives
      // A response with status 4xx or 5xx is read at once, before the SDK retries.
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
    if (!status) return; // not HTTP: an error follows
    const refused = status >= 400 ? this.answer() : null;
    if (refused && this.stamped) this.suspect(refused.error, Date.parse(response.header('date')));
    this.report('answered', () => ({ status, ...(refused || this.answer()) }));
  }

  // answer returns EventBridge's results of the entries, and the code of its error. The extension parses CBOR.
  answer() {
    const { received: response } = this;
    if (this.cbor && response.body && response.header('smithy-protocol') === 'rpc-v2-cbor') {
      const error = response.status < 400 ? '' : errorType(response.body).split('#').pop();
      return { error, answer: Buffer.from(response.body.slice(0, TOLD), 'latin1').toString('base64') };
    }
    let answer;
    try {
      answer = JSON.parse(response.body); // the members that are read are ASCII
    } catch { /* compressed, or not JSON */ }
    const { Entries: list, __type: type } = Object(answer);
    const entries = Array.isArray(list) ? list.map(({ EventId, ErrorCode }) => ({ EventId, ErrorCode })) : undefined;
    // For example "com.amazonaws.events#ThrottlingException:http://…".
    const error = response.status < 400 ? '' : (response.header('x-amzn-errortype') || String(type || '')).split(':')[0].split('#').pop();
    return { entries, error };
  }

  // suspect stops the stamping if EventBridge rejects the extension's signature. A wrong clock is no reason: with it, the
  // caller's signature would have been rejected too.
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

  // report reports the outcome once. fields returns further members of the report.
  report(outcome, fields = () => ({})) {
    if (this.reported) return;
    this.reported = true;
    tell(`events/${this.id}`, this.span, () => ({
      outcome, stamped: this.stamped, reason: this.reason, status: 0, ...fields(), invocation_id: this.headers['amz-sdk-invocation-id'],
    }));
  }
}

Outcome.refused = false; // whether EventBridge rejected the signature of a stamped request

module.exports = { Outcome };
