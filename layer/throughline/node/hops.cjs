'use strict';
// Calls of AWS's SDKs that leave the bus: to SQS, SNS, Kinesis (over HTTP/1.1), Lambda, Step Functions and Scheduler. Their
// requests are observed while they are written, and their responses like those of PutEvents. The shim changes only the
// trace header of a request, and only with THROUGHLINE_HOPS=carry.

const { crypto: { createHash, randomBytes }, http } = require('./builtins.cjs');
const { current } = require('./files.cjs');
const { reachable, tell, trace } = require('./loopback.cjs');
const { Outcome } = require('./outcome.cjs');
const { Response, bytesOf, joined } = require('./response.cjs');
const { requests, sender, splice } = require('./watch.cjs');

const LARGEST = 4 << 20; // bytes of the largest body that is read
const ENTRIES = 500; // entries of a batch that are read
// Bytes of a response that are read, if it may be long: the results of 500 records, the output of an execution.
const LONG = { kinesis: 256 << 10, states: 1 << 20 };
const CALLS = 64; // failed calls whose span a retry carries

const mode = String(process.env.THROUGHLINE_HOPS || '').trim().toLowerCase();

const JSON_TARGETS = { sqs: 'AmazonSQS', states: 'AWSStepFunctions', kinesis: 'Kinesis_20131202' };
const OPERATIONS = {
  sqs: ['SendMessage', 'SendMessageBatch'],
  sns: ['Publish', 'PublishBatch'],
  states: ['StartExecution', 'StartSyncExecution', 'SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat'],
  kinesis: ['PutRecord', 'PutRecords'],
};

const known = (service, operation) => (OPERATIONS[service] || []).includes(operation);

// recognise returns the call that the head of a request describes, or null for other requests.
function recognise(req) {
  const header = (name) => String(req.getHeader(name) || '');
  const [, region, service] = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d+\/([^/]+)\/(sqs|sns|lambda|states|scheduler|kinesis)\/aws4_request/.exec(header('authorization')) || [];
  if (!service || req.method !== 'POST') return null;
  const call = { service, region, operation: '', target: '' };
  if (service === 'lambda') {
    const [, name, streams] = /^\/20\d\d-\d\d-\d\d\/functions\/([^/?]+)\/(response-streaming-)?invocations(?:\?|$)/.exec(req.path) || [];
    if (!name) return null;
    return { ...call, operation: streams ? 'InvokeWithResponseStream' : 'Invoke', target: decodeURIComponent(name), type: header('x-amz-invocation-type') || 'RequestResponse' };
  }
  if (service === 'scheduler') {
    const [, name] = /^\/schedules\/([^/?]+)$/.exec(req.path) || [];
    return name ? { ...call, operation: 'CreateSchedule', target: decodeURIComponent(name) } : null;
  }
  const [prefix, operation] = header('x-amz-target').split('.');
  if (operation && prefix === JSON_TARGETS[service]) return known(service, operation) ? { ...call, operation } : null;
  const form = header('content-type').startsWith('application/x-www-form-urlencoded');
  return form && (service === 'sqs' || service === 'sns') ? call : null; // the body names the operation
}

const length = (text) => (typeof text === 'string' ? Buffer.byteLength(text) : 0);
const decoded = (text) => (typeof text === 'string' ? Math.floor((text.replace(/=+$/, '').length * 3) / 4) : 0); // base64
const list = (value) => (Array.isArray(value) ? value.slice(0, ENTRIES) : []);
const batch = (entries, size) => ({ batch: entries.length, size: entries.reduce((sum, entry) => sum + size(Object(entry)), 0) });

// ofJSON returns what a body in JSON says of the call: the target, and the sizes of its messages.
function ofJSON({ service, operation, target }, body) {
  const given = Object(JSON.parse(body));
  const token = given.taskToken; // a secret: its holder can end the task
  switch (service) {
    case 'sqs':
      return { target: given.QueueUrl, ...(operation === 'SendMessage' ? { size: length(given.MessageBody) } : batch(list(given.Entries), (entry) => length(entry.MessageBody))) };
    case 'kinesis':
      return { target: given.StreamName || given.StreamARN, ...(operation === 'PutRecord' ? { size: decoded(given.Data) } : batch(list(given.Records), (record) => decoded(record.Data))) };
    case 'states':
      return {
        target: given.stateMachineArn, size: length(given.input) + length(given.output) + length(given.cause),
        task_hash: token ? createHash('sha256').update(String(token)).digest('hex').slice(0, 32) : undefined,
      };
    default: {
      const { Arn: arn, Input: input } = Object(given.Target);
      return {
        target: `${given.GroupName || 'default'}/${target}`, size: length(input), schedule_target: arn,
        schedule_expression: given.ScheduleExpression, schedule_timezone: given.ScheduleExpressionTimezone,
      };
    }
  }
}

// ofForm returns the same of a body in the query protocol.
function ofForm({ service, operation }, body) {
  const given = new URLSearchParams(body);
  const target = given.get('QueueUrl') || given.get('TopicArn') || given.get('TargetArn') || undefined;
  const name = service === 'sqs' ? 'MessageBody' : 'Message';
  if (!operation.endsWith('Batch')) return { target, size: length(given.get(name)) };
  const bodies = [...given].filter(([key]) => new RegExp(`^(SendMessageBatchRequestEntry|PublishBatchRequestEntries\\.member)\\.\\d+\\.${name}$`).test(key));
  return { target, ...batch(bodies, ([, text]) => length(text)) };
}

const all = (text, pattern) => [...text.matchAll(pattern)].map(([, value]) => value);

// counted returns how often each code is in a list.
function counted(codes) {
  const counts = {};
  for (const code of codes.filter(Boolean)) counts[code] = (counts[code] || 0) + 1;
  return counts;
}

const sequence = ({ ShardId: shard, SequenceNumber: number }) => (shard && number ? `${shard}:${number}` : undefined);

// given returns what a response contains: IDs, and the codes of entries that failed.
function given(service, body) {
  if (body.startsWith('<')) return { ids: all(body, /<MessageId>([^<]+)<\/MessageId>/g), failed: counted(all(body, /<Code>([^<]+)<\/Code>/g)) };
  const answer = Object(JSON.parse(body));
  const entries = [...list(answer.Successful), ...list(answer.Records)].map(Object);
  const ids = [answer.MessageId, answer.executionArn, answer.ScheduleArn, sequence(answer), ...entries.map((entry) => entry.MessageId || sequence(entry))];
  const codes = [...list(answer.Failed).map((entry) => Object(entry).Code), ...entries.map((entry) => entry.ErrorCode)];
  return { ids: ids.filter(Boolean), failed: counted(codes) };
}

let random = ''; // hexadecimal digits in stock: many small calls of randomBytes would be slow

// spanID returns a new span ID.
function spanID() {
  if (random.length < 16) random = randomBytes(512).toString('hex');
  const id = random.slice(0, 16);
  random = random.slice(16);
  return id;
}

const sum = (counts) => Object.values(Object(counts)).reduce((total, n) => total + n, 0);

const retried = new Map(); // the IDs of the spans that failed attempts carried, by call

// action returns the operation that a body in the query protocol names, first or, in older versions of SDK v3, nearly last.
function action(data, encoding) {
  const named = (part) => (/(?:^|&)Action=(\w+)/.exec(bytesOf(part, encoding)) || [])[1];
  return named(data.slice(0, 4096)) || named(data.slice(-4096)) || '';
}

// Hop reports one attempt of a call. The extension merges attempts with the same invocation_id into one call.
class Hop extends Outcome {
  constructor(req, call) {
    super(req, { 'amz-sdk-invocation-id': req.getHeader('amz-sdk-invocation-id'), 'amz-sdk-request': req.getHeader('amz-sdk-request') });
    this.call = call;
    this.query = trace();
    this.pieces = [];
    this.size = 0;
    this.carried = {};
    if (LONG[call.service]) this.received = new Response(LONG[call.service]);
    this.sent(false, '');
  }

  // wrote records data that the request writes. At the first data the head is not sent yet.
  wrote(data, encoding) {
    const { call, pieces, req } = this;
    if (data.length === 0) return;
    const first = this.size === 0;
    this.size += typeof data === 'string' ? Buffer.byteLength(data, encoding || 'utf8') : data.byteLength;
    // The payload of an invocation is needed only to recognise retries, if the SDK sends no invocation ID.
    if (this.size <= LARGEST && !(call.service === 'lambda' && this.headers['amz-sdk-invocation-id'])) pieces.push(bytesOf(data, encoding));
    if (!first) return;
    if (!call.operation) call.operation = action(data, encoding);
    if (mode === 'carry' && req._headerSent === false && known(call.service, call.operation)) this.carry();
  }

  // carry puts a span of the invocation's trace into the trace header that the SDK copied from the invocation. The extension
  // writes the new header to the file "current". If that file has no such header, the copied one stays.
  carry() {
    const { call, req } = this;
    if (call.service !== 'sqs' && call.service !== 'sns') return;
    const { carry, trace: invocation, traceparent } = current();
    const present = /\r\nx-amzn-trace-id: ([^\r\n]*)\r\n/i.exec(req._header);
    if (!carry || !present || (present[1] !== invocation && decodeURIComponent(present[1]) !== invocation)) return;
    // All attempts carry the same span: the service may have taken a message although the attempt failed.
    const span = (retried.size > 0 && this.retries()) || spanID();
    const head = splice(req._header, { 'x-amzn-trace-id': carry.replace('{span}', span) });
    if (!head) return;
    req._header = head;
    this.carried = { trace_id: traceparent.slice(3, 35), span_id: span, flags: '01' };
  }

  answered() {
    if (this.received.status) this.report('answered', () => this.result());
  }

  // readAll reports an invocation when the head of the response has arrived: the head has the ID, and the caller may read
  // the rest much later, or never.
  readAll() {
    super.readAll();
    const { status } = this.received;
    if (this.reported || this.call.service !== 'lambda' || !(status >= 200 && status < 300)) return;
    this.stop();
    this.answered();
  }

  closed() {
    this.readAll();
    this.stop();
    const { res } = this.req;
    if (this.received.status && res && res.complete) this.answered();
    else if (this.received.status) this.report('unknown'); // the connection ended within the response
    else super.closed();
  }

  result() {
    const { received: response, call } = this;
    const text = response.body === null ? '' : Buffer.from(response.body, 'latin1').toString('utf8');
    if (response.status >= 300) {
      const [code = ''] = all(text, /<Code>([^<]+)<\/Code>/g);
      return { error: response.header('x-amzn-query-error').split(';')[0] || this.answer().error || code || String(response.status) };
    }
    if (call.service === 'lambda') return { ids: [response.header('x-amzn-requestid')].filter(Boolean) };
    try {
      return given(call.service, text);
    } catch {
      return {}; // compressed, or longer than the part that is read
    }
  }

  // told returns what the request says of the call.
  told() {
    const { call, pieces } = this;
    const { service, operation, region, target, type } = call;
    const told = { service, operation, region, target, invocation_type: type };
    if (service === 'lambda') return { ...told, size: this.size };
    if (this.size > LARGEST) return told;
    const body = Buffer.from(joined(pieces), 'latin1').toString('utf8');
    try {
      return { ...told, ...(body.startsWith('{') ? ofJSON(call, body) : ofForm(call, body)) };
    } catch {
      return told;
    }
  }

  // attempt identifies the call that this attempt is part of. SDKs without an invocation ID send the same body again.
  attempt() {
    const [, number] = /attempt=(\d+)/.exec(this.headers['amz-sdk-request']) || [];
    const [, max] = /max=(\d+)/.exec(this.headers['amz-sdk-request']) || [];
    const digest = () => createHash('sha256').update(this.call.service).update(this.req.path).update(Buffer.from(joined(this.pieces.concat('')), 'latin1')).digest('hex');
    return { invocation_id: this.headers['amz-sdk-invocation-id'] || digest(), attempt: Number(number) || 1, max: Number(max) || 0 };
  }

  report(outcome, fields = () => ({})) {
    if (this.reported) return;
    this.reported = true;
    this.span.end();
    hops.delete(this.req);
    sender.delete(this.req);
    if (!known(this.call.service, this.call.operation) && !['lambda', 'scheduler'].includes(this.call.service)) return;
    this.remember(outcome);
    tell(`hops${this.query}`, this.span, () => {
      const told = { ...this.told(), outcome, ...fields(), ...this.attempt(), ...this.carried };
      // Of a body that is too large to be read, the response has the number of entries.
      if (told.batch === undefined && /Batch$|^PutRecords$/.test(told.operation)) told.batch = list(told.ids).length + sum(told.failed);
      return told;
    });
  }

  // remember keeps the span that a failed attempt carried, for the next attempt.
  remember(outcome) {
    const { span_id: span } = this.carried;
    if (!span || (outcome === 'answered' && this.received.status < 300)) return;
    retried.set(this.attempt().invocation_id, span);
    if (retried.size > CALLS) retried.delete(retried.keys().next().value);
  }

  // retries returns the span that the last attempt at the call carried, once: calls at the same time may have the same ID, if
  // the SDK gives them none.
  retries() {
    const { invocation_id: id } = this.attempt();
    const span = retried.get(id);
    retried.delete(id);
    return span;
  }
}

const hops = new WeakMap(); // the Hop of each request

// send replaces the _send of a request.
function send(...piece) {
  const hop = hops.get(this);
  try {
    if (hop) hop.wrote(piece[0], piece[1]);
  } catch { /* the request continues unchanged */ }
  sender.delete(this);
  try {
    return this._send(...piece);
  } finally {
    if (hops.has(this)) sender.set(this, send);
  }
}

function begin(req) {
  const call = recognise(req);
  if (!call) return;
  hops.set(req, new Hop(req, call));
  sender.set(req, send);
}

function start() {
  if (!reachable || parseInt(process.versions.node, 10) < 18 || mode === 'off' || typeof http.OutgoingMessage.prototype._send !== 'function' || !sender.start()) return;
  requests(begin);
}

module.exports = { start };
