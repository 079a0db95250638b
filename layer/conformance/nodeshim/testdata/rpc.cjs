'use strict';
// Ways to write signed requests to a new custom bus with http: `node rpc.cjs NAME`. BODY is the body in hexadecimal,
// OPERATION the operation. Each case prints what the caller sees.
const http = require('http');
const { Readable } = require('stream');
const { gzipSync } = require('zlib');
const { signed } = require('./signed.cjs');

const at = new URL(process.env.API);
const BODY = Buffer.from(process.env.BODY, 'hex');
const LARGE = Buffer.concat([Buffer.from('bf644e6f7465f6', 'hex'), Buffer.from('6458585858', 'hex'), Buffer.from([0x5a, 0, 3, 0, 0]), Buffer.alloc(3 << 16, 0xff), BODY.subarray(1), Buffer.from('ff', 'hex')]);
const PATH = `/service/AWSEventsV2/operation/${process.env.OPERATION}`;
const CBOR = { 'content-type': 'application/cbor', accept: 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' };

function put(body, write, { path = PATH, more = {}, method = 'POST', ...rest } = {}) {
  return new Promise((done) => {
    const req = http.request({ host: at.hostname, port: at.port, path, method, headers: signed(body, { of: CBOR, path, more, ...rest }) });
    req.on('error', (error) => console.log('error', error.code || error.message));
    req.on('response', (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => console.log(res.statusCode, Buffer.concat(chunks).length > 0, Object.keys(res.headers).sort().join()));
    });
    req.on('close', done);
    write(req);
  });
}
const end = (body) => (req) => req.end(body);

const cases = {
  buffer: () => put(BODY, end(BODY)),
  'typed array': () => put(BODY, end(new Uint8Array(BODY))),
  'a text of bytes': () => put(BODY, (req) => req.end(BODY.toString('latin1'), 'latin1')),
  hexadecimal: () => put(BODY, (req) => req.end(BODY.toString('hex'), 'hex')),
  pieces: () => put(BODY, (req) => { for (let i = 0; i < BODY.length; i += 7) req.write(BODY.subarray(i, i + 7)); req.end(); }),
  large: () => put(LARGE, end(LARGE)),
  'large, in pieces': () => put(LARGE, (req) => { for (let i = 0; i < LARGE.length; i += 9999) req.write(LARGE.subarray(i, i + 9999)); req.end(); }),
  stream: () => put(BODY, (req) => Readable.from([BODY.subarray(0, 50), BODY.subarray(50)]).pipe(req)),
  'no length': () => put(BODY, (req) => { req.write(BODY.subarray(0, 50)); req.end(BODY.subarray(50)); }, { length: false }),
  'reused buffer': () => put(BODY, (req) => { const bytes = Buffer.from(BODY); req.write(bytes, () => { bytes.fill(0); req.end(); }); }),
  gzip: () => { const zip = gzipSync(BODY); return put(zip, end(zip), { more: { 'content-encoding': 'gzip' } }); },
  'aws-chunked': () => {
    const chunked = Buffer.concat([Buffer.from(`${BODY.length.toString(16)}\r\n`), BODY, Buffer.from('\r\n0\r\n\r\n')]);
    return put(chunked, end(chunked), { more: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(BODY.length) } });
  },
  'a streaming payload': () => put(BODY, end(BODY), { more: { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' } }),
  trailer: () => put(BODY, end(BODY), { length: false, more: { trailer: 'x-amz-checksum-crc32' } }),
  'unsigned payload': () => put(BODY, end(BODY), { more: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }),
  'another key': () => put(BODY, end(BODY), { key: 'AKIDOTHER', secret: 'x' }),
  'another algorithm': () => put(BODY, end(BODY), { algorithm: 'AWS4-ECDSA-P256-SHA256' }),
  'another scope': () => put(BODY, end(BODY), { service: 'eventsv2' }),
  'a wrong signature': () => put(BODY, end(BODY), { secret: 'other' }),
  'a clock that is off': () => put(BODY, end(BODY), { skew: 3600000 }),
  'another operation': () => put(BODY, end(BODY), { path: '/service/AWSEventsV2/operation/CreateEventBus' }),
  'another service': () => put(BODY, end(BODY), { path: '/service/Other/operation/PutEvents' }),
  'another protocol': () => put(BODY, end(BODY), { more: { 'smithy-protocol': 'rpc-v2-json' } }),
  'another method': () => put(BODY, end(BODY), { method: 'PUT' }),
  'too long': () => put(BODY, end(Buffer.concat([BODY, BODY]))),
  'destroyed while held': () => put(BODY, (req) => { req.end(BODY); process.nextTick(() => req.destroy()); }),
};

(async () => {
  await cases[process.argv[2]]();
  await new Promise((done) => { setTimeout(done, 100); });
})();
