'use strict';
// Every way to write the body of a signed PutEvents request with http: `node putevents.cjs NAME`. Each case prints what
// the caller sees.
const { AsyncLocalStorage } = require('async_hooks');
const http = require('http');
const { Readable, pipeline } = require('stream');
const { signed } = require('./signed.cjs');

const { API } = process.env;
const at = new URL(API);
const print = (...a) => console.log(...a);
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

const BODY = '{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\\"n\\":12345678901234567890,\\"t\\":\\"< ünï\\"}"}]}';
const LARGE = `{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\\"t\\":\\"${'x'.repeat(200000)}\\"}"}]}`;

const listeners = (emitter) => emitter.eventNames().filter((n) => typeof n === 'string').sort().map((n) => `${n}:${emitter.listenerCount(n)}`).join(' ');

// request starts one; answered waits for its response and prints it.
function request(body, options = {}) {
  const { headers = signed(body, options), ...rest } = options;
  const req = http.request({ host: at.hostname, port: at.port, path: '/', method: 'POST', headers, ...rest });
  req.on('error', (error) => print('error', error.code || error.message));
  return req;
}
const answered = (req) => new Promise((done) => {
  req.on('response', (res) => {
    let text = '';
    res.setEncoding('utf8');
    res.on('data', (d) => { text += d; });
    res.on('end', () => print(res.statusCode, text));
  });
  req.on('close', done);
});
const put = (req, write) => { const done = answered(req); write(req); return done; };
// open are the resources that keep the process alive; those of its output come and go.
const open = () => (process.getActiveResourcesInfo ? process.getActiveResourcesInfo() : []).filter((name) => name !== 'PipeWrap').sort();

const cases = {
  'every size': async () => { // about where bodies become buffers
    for (const text of ['x', 'ü', '€', '\u{1f600}']) {
      for (const size of [16383, 16384, 16385, 65536]) {
        const start = '{"Entries":[{"Source":"s","DetailType":"T","Detail":"{}","X":"';
        const fill = (size - start.length - 4) / Buffer.byteLength(text);
        const body = `${start}${text.repeat(Math.floor(fill))}"}]}`;
        await put(request(body), (req) => req.end(body));
        await put(request(body), (req) => req.end(Buffer.from(body)));
        await put(request(body), (req) => { req.write(body.slice(0, 100)); req.write(Buffer.from(body.slice(100, 9000))); req.end(body.slice(9000)); });
      }
    }
  },
  'mixed pieces': () => put(request(LARGE), (req) => {
    const bytes = Buffer.from(LARGE);
    req.write(bytes.toString('latin1', 0, 50), 'latin1');
    req.write(bytes.subarray(50, 30000));
    req.write(bytes.toString('base64', 30000, 60000), 'base64');
    req.write(new Uint8Array(bytes.subarray(60000, 60010)));
    req.end(bytes.subarray(60010));
  }),
  'mixed pieces, no length': () => put(request(LARGE, { length: false }), (req) => {
    const bytes = Buffer.from(LARGE);
    req.write(bytes.toString('utf8', 0, 50));
    req.write(bytes.subarray(50, 30000));
    req.end(bytes.toString('hex', 30000), 'hex');
  }),
  'other encodings': async () => {
    for (const encoding of ['utf8', 'UTF-8', 'base64', 'base64url', 'hex']) await put(request(BODY), (req) => req.end(Buffer.from(BODY).toString(encoding === 'UTF-8' ? 'utf8' : encoding), encoding));
    const ascii = BODY.replace('ünï', 'uni');
    for (const encoding of ['ascii', 'latin1', 'binary']) await put(request(ascii), (req) => req.end(ascii, encoding));
  },
  'shared memory': () => put(request(BODY), (req) => {
    const bytes = Buffer.from(BODY);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 5), 5);
    shared.set(bytes);
    req.end(shared);
  }),
  'buffers written over': async () => {
    for (const body of [BODY, LARGE]) {
      await put(request(body), (req) => {
        const bytes = Buffer.from(body);
        req.write(bytes.subarray(0, 40), () => { req.end(bytes.subarray(40)); bytes.fill(0); });
      });
    }
  },
  'emit replaced': () => put(request(BODY), (req) => {
    const { emit } = req;
    req.emit = function replaced(name, ...rest) { if (name === 'response') print('seen'); return emit.call(this, name, ...rest); };
    req.end(BODY);
  }),
  'emit replaced early': () => {
    const req = request(BODY);
    const { emit } = req;
    const seen = [];
    req.emit = function replaced(name, ...rest) { seen.push(name); return emit.call(this, name, ...rest); };
    return put(req, () => req.end(BODY)).then(() => print(seen.join()));
  },
  corked: () => put(request(BODY), (req) => { req.cork(); req.write(BODY.slice(0, 9)); req.write(BODY.slice(9)); req.uncork(); req.end(); }),
  pipeline: () => put(request(LARGE), (req) => pipeline(Readable.from(LARGE.match(/.{1,7000}/g)), req, (error) => print('over', error && error.code))),
  'destroyed while held': async () => { const req = request(BODY); req.end(BODY); const done = answered(req); process.nextTick(() => req.destroy()); await done; },
  'one socket, the first gives up': async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const first = request(BODY, { agent });
    first.end(BODY);
    process.nextTick(() => first.destroy());
    await put(request(BODY, { agent }), (req) => req.end(BODY));
    agent.destroy();
  },
  'no agent': () => put(request(BODY, { agent: false }), (req) => req.end(BODY)),
  'a connection of its own': () => put(request(BODY, { createConnection: ({ port, host }) => require('net').connect(port, host) }), (req) => req.end(BODY)),
  'a very short timeout': async () => {
    const req = request(BODY, { timeout: 1000 });
    req.setTimeout(1000, () => print('timeout'));
    await put(req, () => req.end(BODY));
  },
  'headers twice': () => put(request(BODY, { headers: { ...signed(BODY), 'x-more': ['a', 'b'] } }), (req) => req.end(BODY)),
  'the end of the process': async () => {
    await put(request(BODY), (req) => req.end(BODY)); // there is a connection to the extension now
    await wait(50);
    await new Promise((done) => {
      const req = request(BODY);
      req.on('response', (res) => { res.resume(); res.on('end', done); });
      req.end(BODY);
    });
    process.exit(5);
  },
  'a listener for the end': async () => {
    for (let n = 0; n < 10; n++) process.on('exit', () => {});
    await put(request(BODY), (req) => req.end(BODY));
    print(process.listenerCount('exit'));
  },
  'the shape of a request': async () => {
    const req = request(BODY);
    const done = answered(req);
    req.end(BODY);
    const names = [];
    for (const name in req) if (/^(emit|_send|_implicitHeader|on)$/.test(name)) names.push(name);
    print(names.sort().join(), Object.getOwnPropertyNames(req).sort().join());
    await done;
  },
  'in a worker': () => new Promise((done) => {
    const { Worker } = require('worker_threads');
    const worker = new Worker(__filename, { argv: ['string'] });
    worker.on('exit', (code) => { print('worker', code); done(); });
  }),
  string: () => put(request(BODY), (req) => req.end(BODY)),
  'string in another encoding': () => put(request(BODY), (req) => req.end(Buffer.from(BODY).toString('hex'), 'hex')),
  buffer: () => put(request(BODY), (req) => req.end(Buffer.from(BODY))),
  'typed array': () => put(request(BODY), (req) => req.end(new Uint8Array(Buffer.from(BODY)))),
  large: () => put(request(LARGE), (req) => req.end(LARGE)),
  stream: () => put(request(BODY), (req) => Readable.from([BODY.slice(0, 20), BODY.slice(20)].map((s) => Buffer.from(s))).pipe(req)),
  'large stream': () => put(request(LARGE), (req) => Readable.from(LARGE.match(/.{1,20000}/g).map((s) => Buffer.from(s))).pipe(req)),
  'write and end': () => put(request(BODY), (req) => { print(req.write(BODY)); req.end(); print(req.writableEnded, req.finished, req.writableFinished); }),
  'writes and end': () => put(request(BODY), (req) => { for (const c of Buffer.from(BODY)) req.write(Buffer.from([c])); req.end(); }),
  'write, then more': () => put(request(BODY), (req) => { req.write(BODY.slice(0, 9)); setTimeout(() => req.end(BODY.slice(9)), 20); }),
  'no length': () => put(request(BODY, { length: false }), (req) => { req.write(BODY.slice(0, 9)); req.end(BODY.slice(9)); }),
  'no length, one piece': () => put(request(BODY, { length: false }), (req) => req.end(BODY)),
  callbacks: () => put(request(BODY), (req) => {
    req.on('finish', () => print('finish'));
    req.write(BODY.slice(0, 9), (e) => { print('first written', e); req.write(BODY.slice(9), (f) => { print('second written', f); req.end(() => print('ended')); }); });
  }),
  'end with a callback': () => put(request(BODY), (req) => { print(req.end(BODY, 'utf8', () => print('ended', req.writableFinished)) === req); }),
  'reused buffer': () => put(request(BODY), (req) => {
    const buffer = Buffer.from(BODY);
    req.write(buffer.slice(0, 9), () => { req.end(buffer.slice(9)); });
  }),
  'waits for drain': () => put(request(LARGE), (req) => {
    req.once('drain', () => { print('drain', req.writableNeedDrain); req.end(LARGE.slice(100000)); });
    print(req.write(LARGE.slice(0, 100000)));
  }),
  'waits to drain on a connection that is used again': async () => {
    const agent = new http.Agent({ keepAlive: true });
    await put(request(BODY, { agent }), (req) => req.end(BODY));
    await put(request(LARGE, { agent }), (req) => { print(req.write(LARGE.slice(0, 100000))); req.once('drain', () => req.end(LARGE.slice(100000))); });
    agent.destroy();
  },
  'write after the end': () => put(request(BODY), (req) => { req.end(BODY); req.write('x', (e) => print('written', e && e.code)); req.end('y', (e) => print('ended', e && e.code)); }),
  'unsent bytes': () => put(request(BODY), (req) => { req.write(BODY); print(req.writableLength, req.writableFinished); req.end(); print(req.writableLength, req.writableFinished); }),
  'end twice': () => put(request(BODY), (req) => { req.end(BODY, () => print('one')); req.end(() => print('two')); }),
  'bad arguments': () => put(request(BODY), (req) => {
    for (const bad of [null, 5, {}]) { try { req.write(bad); } catch (e) { print(e.code, /throughline/.test(e.stack)); } }
    req.end(BODY);
  }),
  'headers after the end': () => put(request(BODY), (req) => {
    req.end(BODY);
    try { req.setHeader('a', 'b'); } catch (e) { print(e.code, /throughline/.test(e.stack)); }
    print(req.headersSent, req.getHeader('authorization').length > 50, req.getHeader('content-length'), Object.keys(req).includes('_send'));
  }),
  listeners: () => put(request(BODY), (req) => {
    print('before', listeners(req));
    req.end(BODY);
    print('after', listeners(req), Object.keys(req).sort().join());
    req.on('response', (res) => print('response', listeners(req), '|', listeners(res)));
    req.on('close', () => print('close', listeners(req)));
  }),
  'flushed headers': () => put(request(BODY), (req) => { req.flushHeaders(); req.end(BODY); }),
  'too short': () => { const req = request(BODY); req.on('response', () => print('response')); req.end(BODY.slice(5)); return wait(100).then(() => req.destroy()); },
  'too long': () => put(request(BODY), (req) => req.end(`${BODY}  `)),
  'a strict length': () => put(request(BODY), (req) => {
    req.strictContentLength = true;
    req.end(BODY);
  }),
  'an empty body': () => put(request(''), (req) => req.end()),
  'content-encoding': () => put(request(BODY, { more: { 'content-encoding': 'identity' } }), (req) => req.end(BODY)),
  expect: () => put(request(BODY, { more: { expect: '100-continue' } }), (req) => req.on('continue', () => { print('continue'); req.end(BODY); })),
  'header arrays': () => put(request(BODY, { headers: Object.entries(signed(BODY)).reduce((list, pair) => list.concat(pair), []) }), (req) => req.end(BODY)),
  'unsigned payload': () => put(request(BODY, { more: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }), (req) => req.end(BODY)),
  'another key': () => put(request(BODY, { key: 'AKIDOTHER', secret: 'x' }), (req) => req.end(BODY)),
  'another algorithm': () => put(request(BODY, { algorithm: 'AWS4-ECDSA-P256-SHA256' }), (req) => req.end(BODY)),
  'another scope': () => put(request(BODY, { service: 'other' }), (req) => req.end(BODY)),
  'a wrong signature': () => put(request(BODY, { secret: 'other' }), (req) => req.end(BODY)),
  'another operation': () => put(request(BODY, { more: { 'x-amz-target': 'AWSEvents.PutRule' } }), (req) => req.end(BODY)),
  'destroyed at once': async () => { const req = request(BODY); req.end(BODY); req.destroy(); await answered(req); },
  'aborted at once': async () => { const req = request(BODY); req.on('abort', () => print('abort')); req.end(BODY); req.abort(); await answered(req); },
  'destroyed with an error': async () => { const req = request(BODY); req.end(BODY); req.destroy(new Error('mine')); await answered(req); },
  'aborted by signal': async () => { const c = new AbortController(); const req = request(BODY, { signal: c.signal }); req.end(BODY); c.abort(); await answered(req); },
  'a short timeout': async () => {
    const req = request(BODY, { timeout: 2000 });
    req.on('timeout', () => print('timeout'));
    await put(req, () => req.end(BODY));
  },
  'one socket': async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await Promise.all([1, 2, 3, 4].map(() => put(request(BODY, { agent }), (req) => req.end(BODY))));
    const count = (o) => Object.values(o).reduce((n, list) => n + list.length, 0);
    print(count(agent.sockets), count(agent.freeSockets), count(agent.requests));
    agent.destroy();
  },
  'nobody reads': async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    request(BODY, { agent }).end(BODY);
    await put(request(BODY, { agent }), (req) => req.end(BODY));
    agent.destroy();
  },
  many: async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    let answers = 0;
    await Promise.all(Array.from({ length: 100 }, () => new Promise((done) => {
      const req = request(BODY, { agent });
      req.on('response', (res) => { res.resume(); answers += res.statusCode === 200; });
      req.on('close', done);
      req.end(BODY);
    })));
    print(answers);
    agent.destroy();
  },
  'its own context': async () => {
    const storage = new AsyncLocalStorage();
    const seen = (name) => () => print(name, storage.getStore());
    await storage.run('mine', () => put(request(BODY), (req) => {
      for (const name of ['socket', 'response', 'finish', 'close']) req.on(name, seen(name));
      req.write(BODY.slice(0, 9), seen('written'));
      setTimeout(() => req.end(BODY.slice(9), seen('ended')), 10);
    }));
    print(storage.getStore());
  },
  'a listener that throws': () => {
    process.on('uncaughtException', (e) => { print(e.message, /throughline/.test(e.stack)); process.exit(9); });
    const req = request(BODY);
    req.on('response', (res) => res.on('data', () => { throw new Error('mine'); }));
    req.end(BODY);
    return wait(2000);
  },
  'a throw after the end': async () => {
    process.on('uncaughtException', (e) => print(e.message));
    http.get(`${API}/v2/clock`, (res) => {
      res.resume();
      put(request(BODY), (req) => req.end(BODY));
      throw new Error('mine');
    });
    await wait(300);
    process.exit();
  },
  'through fetch': async () => {
    const { host, 'content-length': length, ...headers } = signed(BODY);
    const res = await fetch(API, { method: 'POST', headers, body: BODY });
    print(res.status, await res.text());
  },
  'through undici': async () => {
    const { host, ...headers } = signed(BODY);
    const res = await require('undici').request(API, { method: 'POST', headers, body: BODY });
    print(res.statusCode, await res.body.text());
  },
  refused: async () => {
    const req = request(BODY, { port: 1 });
    req.end(BODY);
    await answered(req);
  },
  'replaced timers and clock': async () => {
    const { setTimeout: real } = global;
    global.setTimeout = global.setImmediate = () => { throw new Error('replaced'); };
    await put(request(BODY), (req) => req.end(BODY));
    global.setTimeout = real;
  },
};

(async () => {
  const name = process.argv[2];
  for (let n = 0; n < Number(process.env.TIMES || 1); n++) await cases[name]();
  await wait(100);
  // A question that nobody waits for any more ends by itself, on a busy machine later than on others.
  for (const until = Date.now() + 5000; open().length > 0 && Date.now() < until;) await wait(20);
  print(open().join());
})();
