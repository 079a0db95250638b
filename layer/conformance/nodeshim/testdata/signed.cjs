'use strict';
const { createHash, createHmac } = require('crypto');

const at = new URL(process.env.API);
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const sha = (text) => createHash('sha256').update(text).digest('hex');

const classic = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' };

// signed returns the headers of a request with this body, signed with SigV4.
exports.signed = (body, { key = 'AKIDOURS', secret = 'secret', length = true, of = classic, more = {}, path = '/', algorithm = 'AWS4-HMAC-SHA256', service = 'events', skew = 0 } = {}) => {
  const date = new Date(Date.now() + skew).toISOString().replace(/[-:]|\.\d+/g, '');
  const headers = { host: at.host, ...of, 'x-amz-date': date, 'x-amz-security-token': 'session', ...more };
  if (length) headers['content-length'] = String(Buffer.byteLength(body));
  const names = Object.keys(headers).filter((n) => n !== 'expect' && n !== 'content-encoding').sort();
  const scope = `${date.slice(0, 8)}/us-east-1/${service}/aws4_request`;
  const canonical = ['POST', path, '', ...names.map((n) => `${n}:${headers[n]}`), '', names.join(';'), sha(body)].join('\n');
  const signature = ['us-east-1', service, 'aws4_request', ['AWS4-HMAC-SHA256', date, scope, sha(canonical)].join('\n')]
    .reduce(hmac, hmac(`AWS4${secret}`, date.slice(0, 8))).toString('hex');
  headers.authorization = `${algorithm} Credential=${key}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return headers;
};
