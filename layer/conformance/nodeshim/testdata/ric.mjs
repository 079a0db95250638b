// A function on AWS's runtime client: an event says what it does.
import http from 'node:http';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';

const { API } = process.env;
const client = new EventBridgeClient({});
const put = (n = 1) => client.send(new PutEventsCommand({ Entries: Array.from({ length: n }, () => ({ Source: 's', DetailType: 'T', Detail: '{"a":1}' })) }));
const get = (path) => new Promise((resolve, reject) => {
  http.get(API + path, (res) => { let text = ''; res.on('data', (d) => { text += d; }); res.on('end', () => resolve(`${res.statusCode} ${text.length}`)); }).on('error', reject);
});
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
const frames = (error) => String(error.stack).replace(/file:\S*\/(\w+\.mjs):\d+:\d+/g, '$1').split('\n').slice(0, 3).join('|');
const open = () => process.getActiveResourcesInfo().filter((r) => !/Immediate|Timeout/.test(r)).sort();

const deeds = {
  publish: async () => (await put()).Entries[0].EventId.replace(/-\d+-/, '-'),
  'publish twice': async () => (await Promise.all([put(), put(3)])).map((r) => r.Entries.length),
  get: () => get('/v2/clock'),
  fetch: async () => (await (await fetch(`${API}/v2/clock`)).text()).length,
  'fire and forget': async () => { http.request(`${API}/big`, { method: 'POST' }).end('x'); return 'sent'; },
  'publish and do not wait': async () => { put(); return 'sent'; },
  throw: async () => { await put(); throw new TypeError('mine'); },
  reject: () => put().then(() => Promise.reject(new RangeError('mine'))),
  'reject with no error': async () => { await get('/v2/clock'); return Promise.reject('text'); }, // eslint-disable-line prefer-promise-reject-errors
  'error of a call': async () => { await get('/reset'); },
  'an error that nobody handles': async () => { http.get(`${API}/reset`); await wait(2000); return 'not reached'; },
  'a rejection that nobody handles': async () => { await put(); Promise.reject(new Error('nobody')); await wait(200); return 'not reached'; },
  exit: async () => { await put(); process.exit(3); },
  large: async () => { await put(); return 'x'.repeat(1 << 20); },
  environment: async () => Object.keys(process.env).sort().join(),
  resources: async () => {
    await put();
    await get('/v2/clock');
    for (const until = Date.now() + 5000; open().includes('TCPSocketWrap') && Date.now() < until;) await wait(20); // sockets close, on a busy machine later than on others
    return open().join();
  },
  stack: async () => { try { await get('/close'); } catch (error) { return frames(error); } return ''; },
  listeners: async () => process.eventNames().filter((n) => typeof n === 'string').sort().map((n) => `${n}:${process.listenerCount(n)}`).join(),
};

export const handler = async (event) => deeds[event.do]();
export const streamed = globalThis.awslambda ? globalThis.awslambda.streamifyResponse(async (event, stream) => {
  await put();
  stream.write('first ');
  if (event.do === 'stream, then throw') throw new Error('mine');
  stream.write(await get('/v2/clock'));
  stream.end();
}) : undefined;
