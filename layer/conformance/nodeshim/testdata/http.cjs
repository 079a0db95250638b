'use strict';
// What functions do with http, fetch and WebSockets: `node http.cjs NAME`. Each case prints what it sees. Runs on every
// Node.js from 14.17.
const http = require('http');
const { EventEmitter } = require('events');

const { API } = process.env;
const print = (...a) => console.log(...a);
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
// sent waits until a request has been sent, and has most likely arrived.
const sent = (req) => new Promise((done) => { req.on('socket', (socket) => socket.on('connect', done)); }).then(() => wait(300));
const get = (path, options = {}) => new Promise((resolve, reject) => {
  http.get(API + path, options, (res) => { res.resume(); res.on('end', () => resolve(res)); }).on('error', reject);
});
const listeners = (emitter) => emitter.eventNames().filter((n) => typeof n === 'string').sort()
  .map((name) => `${name}:${emitter.listenerCount(name)}`).join(' ');
const sockets = (agent) => {
  const count = (o) => Object.values(o).reduce((n, list) => n + list.length, 0);
  return `sockets ${count(agent.sockets)} free ${count(agent.freeSockets)} waiting ${count(agent.requests)}`;
};
// settled waits until no request holds a socket of the agent's or waits for one, at most 20 s: a socket that hangs does so
// for good, and a busy machine takes its time.
const settled = async (agent) => {
  for (const until = Date.now() + 20000; Date.now() < until && !/sockets 0 .* waiting 0/.test(sockets(agent));) await wait(20);
  return sockets(agent);
};
// The frames of a stack that are not this file's, without positions.
const frames = (error) => String(error.stack).split('\n').slice(1).map((line) => line.trim().replace(/[^ (]*\/http\.cjs/, 'here').replace(/:\d+:\d+/g, '')).join('\n');

const cases = {
  async get() {
    const res = await get('/v2/account?secret=1');
    print(res.statusCode, res.headers['x-request-id']);
  },
  async post() {
    await new Promise((done, fail) => {
      const req = http.request(`${API}/v2/orders`, { method: 'POST', headers: { 'X-Mixed-Case': 'Value', 'content-type': 'application/json' } }, (res) => {
        res.setEncoding('utf8');
        res.on('data', (d) => print(d));
        res.on('end', done);
      });
      req.on('error', fail);
      print(req.write('{"a":', () => print('written')), req.end('1}', () => print('ended')) === req, req.writableEnded, req.writableFinished);
    });
  },
  async limited() { print((await get('/v2/limited')).statusCode); },
  async ['redirected']() { print((await get('/redirect')).statusCode); },
  async ['without a response listener']() {
    const req = http.request(`${API}/big`, { method: 'POST' });
    req.end('x');
    await new Promise((done) => { req.once('close', done); });
    print('closed', req.res.complete, listeners(req));
  },
  async ['one socket, nobody reads']() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    http.request(`${API}/big`, { method: 'POST', agent }).end('a');
    const res = await get('/v2/clock', { agent });
    print(res.statusCode, await settled(agent));
    agent.destroy();
  },
  async ['beacons']() {
    for (let i = 0; i < 40; i++) {
      http.request(`${API}/big`, { method: 'POST' }).on('error', () => {}).end('x');
      await wait(2);
    }
    print((await settled(http.globalAgent)).replace(/free \d+/, ''));
  },
  async ['listeners']() {
    const req = http.request(`${API}/v2/clock`);
    print('created:', listeners(req), Object.keys(req).sort().join());
    req.on('response', (res) => {
      print('response:', listeners(req), '|', listeners(res), '|', listeners(req.socket), '|', Object.keys(res).sort().join());
      res.resume();
    });
    req.on('socket', (socket) => print('socket:', listeners(req), '|', listeners(socket)));
    req.end();
    print('ended:', listeners(req), Object.keys(req).sort().join());
    await new Promise((done) => { req.on('close', done); });
    print('closed:', listeners(req), Object.keys(req).sort().join());
  },
  async ['identity']() {
    const https = require('https');
    for (const f of [http.request, http.get, https.request, https.get, http.ClientRequest, http.ClientRequest.prototype._implicitHeader,
      http.OutgoingMessage.prototype.write, http.OutgoingMessage.prototype.end, EventEmitter.prototype.emit, globalThis.fetch || print]) {
      print(f.name, f.length, /native|throughline/.test(f), Object.getOwnPropertyNames(f).sort().join());
    }
    const esm = await import('http');
    print(esm.request === http.request, esm.default === http, Object.keys(http).join());
  },
  ['an error that nobody handles']() { http.get('http://127.0.0.1:1/v2/clock'); },
  async ['an error that is handled']() {
    await get('/reset').catch((error) => print(error.code, frames(error)));
    await get('/close').catch((error) => print(error.code, error.message, frames(error)));
    await get('/garbage').catch((error) => print(error.code, frames(error)));
    await new Promise((done) => {
      http.get('http://127.0.0.1:1/v2/clock').on('error', (error) => { print(error.code, frames(error)); done(); });
    });
  },
  async ['errors that are thrown']() {
    const of = (f) => { try { f(); print('nothing thrown'); } catch (error) { print(error.code, error.message, frames(error)); } };
    const req = http.request(`${API}/v2/orders`, { method: 'POST' });
    req.on('error', (error) => print('emitted', error.code, frames(error)));
    of(() => req.write(null));
    of(() => req.write(5));
    of(() => req.end({}));
    of(() => req.setHeader('a b', 'c'));
    req.end('x');
    of(() => req.setHeader('late', 'c'));
    of(() => req._implicitHeader());
    req.write('after the end', (error) => print('written', error && error.code));
    await wait(50);
  },
  ['a listener that throws']() {
    process.on('uncaughtException', (error) => { print(frames(error)); process.exit(7); });
    http.get(`${API}/v2/clock`, () => { throw new Error('mine'); });
  },
  ['a data listener that throws']() {
    process.on('uncaughtException', (error) => { print(frames(error)); process.exit(7); });
    http.get(`${API}/v2/clock`, (res) => res.on('data', () => { throw new Error('mine'); }));
  },
  async ['aborted']() {
    const req = http.get(`${API}/never`);
    req.on('error', (error) => print(error.code, error.message));
    req.on('abort', () => print('abort'));
    req.on('close', () => print('close', req.aborted, req.destroyed));
    await sent(req);
    req.abort();
    await wait(50);
  },
  async ['aborted at once']() {
    const req = http.get(`${API}/never`);
    for (const name of ['abort', 'error', 'close', 'socket']) req.on(name, (e) => print(name, e && e.code));
    req.abort();
    await wait(50);
  },
  async ['destroyed']() {
    const req = http.get(`${API}/never`);
    req.on('error', (error) => print(error.code || error.message));
    await sent(req);
    req.destroy();
    const other = http.get(`${API}/never`);
    other.on('error', (error) => print(error.code || error.message));
    await sent(other);
    other.destroy(new Error('mine'));
    await wait(50);
  },
  async ['timed out']() {
    const req = http.get(`${API}/never`, { timeout: 500 }); // which a busy machine's connecting does not take
    req.on('timeout', () => { print('timeout'); req.destroy(); });
    req.on('error', (error) => print(error.code));
    await new Promise((done) => { req.on('close', done); });
  },
  async ['half a response']() {
    await new Promise((done) => {
      http.get(`${API}/half`, (res) => {
        res.on('data', (d) => print(String(d)));
        for (const name of ['aborted', 'error', 'end', 'close']) res.on(name, (e) => { print(name, e && e.code); if (name === 'close') done(); });
      });
    });
  },
  async ['flushed headers']() {
    const req = http.request(`${API}/v2/orders`, { method: 'POST', headers: { 'content-length': 2 } }, (res) => { res.resume(); print(res.statusCode); });
    req.flushHeaders();
    print(req.headersSent);
    await wait(20);
    req.end('{}');
    await new Promise((done) => { req.on('close', done); });
  },
  async ['header arrays']() {
    const req = http.request(`${API}/v2/orders`, { method: 'POST', headers: ['Host', 'x', 'Content-Length', '2', 'X-A', '1', 'X-A', '2'] }, (res) => { res.resume(); print(res.statusCode); });
    req.end('{}');
    await new Promise((done) => { req.on('close', done); });
  },
  async ['expect']() {
    const req = http.request(`${API}/v2/orders`, { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 2 } }, (res) => { res.resume(); print(res.statusCode); });
    req.on('continue', () => { print('continue'); req.end('{}'); });
    await new Promise((done) => { req.on('close', done); });
  },
  async ['interim responses']() {
    const req = http.get(`${API}/interim`, (res) => { res.resume(); print(res.statusCode); });
    req.on('information', (info) => print('information', info.statusCode));
    await new Promise((done) => { req.on('close', done); });
  },
  async ['a tunnel']() {
    const at = new URL(API);
    const req = http.request({ host: at.hostname, port: at.port, method: 'CONNECT', path: 'example.com:443' });
    req.on('connect', (res, socket) => { print('connect', res.statusCode, listeners(socket)); socket.destroy(); });
    req.on('close', () => print('close', listeners(req)));
    req.end();
    await wait(100);
  },
  async ['an upgrade']() {
    const req = http.get(`${API}/upgrade`, { headers: { Connection: 'Upgrade', Upgrade: 'test' } });
    req.on('upgrade', (res, socket, head) => { print('upgrade', res.statusCode, String(head), listeners(socket)); socket.destroy(); });
    req.on('close', () => print('close'));
    await wait(100);
  },
  async ['an upgrade that nobody takes']() {
    const req = http.get(`${API}/upgrade`, { headers: { Connection: 'Upgrade', Upgrade: 'test' } });
    req.on('error', (error) => print(error.code));
    req.on('close', () => print('close'));
    await wait(100);
  },
  async ['headers that the caller set']() {
    await get('/v2/clock', { headers: { traceparent: '00-11111111111111111111111111111111-2222222222222222-01' } });
  },
  async ['emit replaced']() {
    const req = http.request(`${API}/v2/clock`);
    const emit = req.emit;
    const seen = [];
    req.emit = function replaced(name, ...args) { seen.push(name); return emit.call(this, name, ...args); };
    req.on('response', (res) => res.resume());
    req.end();
    req.emit = ((before) => function again(name, ...args) { return before.call(this, name, ...args); })(req.emit);
    await new Promise((done) => { req.on('close', done); });
    print(seen.join(), req.emit.name);
  },
  async ['after a pause']() {
    await get('/v2/clock');
    const until = Date.now() + 1500;
    while (Date.now() < until); // as frozen
    await get('/v2/clock');
    await wait(20);
    await get('/v2/clock');
  },
  async fetch() {
    const res = await fetch(`${API}/v2/limited`);
    print(res.status, (await res.text()).length);
  },
  async undici() {
    const { request } = require('undici');
    const res = await request(`${API}/v2/limited`);
    print(res.statusCode, (await res.body.text()).length);
    await request(`${API}/never`, { signal: AbortSignal.timeout(500) }).catch((error) => print(error.name));
  },
  async ['fetch aborted']() {
    await (await fetch(`${API}/v2/clock`)).text(); // the first takes its time
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 500);
    await fetch(`${API}/never`, { signal: controller.signal }).catch((error) => print(error.name, error.message));
  },
  async ['fetch timed out']() {
    await (await fetch(`${API}/v2/clock`)).text();
    await fetch(`${API}/never`, { signal: AbortSignal.timeout(500) }).catch((error) => print(error.name, error.message));
  },
  async ['fetch refused']() {
    const server = http.createServer().listen(0, '127.0.0.1');
    await new Promise((done) => { server.on('listening', done); });
    const { port } = server.address();
    await new Promise((done) => { server.close(done); });
    await fetch(`http://127.0.0.1:${port}/v2/clock`).catch((error) => print(error.name, error.cause.code));
  },
  async ['a WebSocket of ws']() {
    const { WebSocketServer, WebSocket } = require('ws');
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((done) => { server.on('listening', done); });
    server.on('connection', (s) => s.send('hello'));
    const client = new WebSocket(`ws://127.0.0.1:${server.address().port}/stream`);
    client.on('message', (m) => { print(String(m)); client.close(); });
    await new Promise((done) => { client.on('close', done); });
    server.close();
  },
  async ['a WebSocket of Node.js']() {
    const { WebSocketServer } = require('ws');
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((done) => { server.on('listening', done); });
    server.on('connection', (s) => s.send('hello'));
    const client = new WebSocket(`ws://127.0.0.1:${server.address().port}/stream`);
    client.onmessage = (m) => { print(m.data); client.close(); };
    await new Promise((done) => { client.onclose = done; });
    server.close();
  },
};

(async () => {
  await cases[process.argv[2]]();
  await wait(100); // reports are on their way
})();
