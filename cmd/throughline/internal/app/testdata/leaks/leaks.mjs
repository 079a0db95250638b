import dgram from 'node:dgram';
import dns from 'node:dns';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

const ends = (emitter, good) => new Promise((done, fail) => emitter.on('error', fail).on(good, done));
const get = (module, options) => ends(module.get(options), 'response');
const tries = {
  https: () => get(https, 'https://files.example/'),
  http: () => get(http, 'http://files.example/'),
  'http by address': () => get(http, { host: '198.51.100.7', port: 80 }),
  'http with a lookup of its own': () => get(http, { host: 'files.example', lookup: (name, options, done) => done(null, [{ address: '198.51.100.7', family: 4 }]) }),
  fetch: () => fetch('https://files.example/'),
  metadata: () => fetch('http://169.254.169.254/latest/meta-data/'),
  net: () => ends(net.connect(443, 'files.example'), 'connect'),
  'net by options': () => ends(net.connect({ host: '198.51.100.7', port: 5432 }), 'connect'),
  'a new socket': () => ends(new net.Socket().connect(443, '198.51.100.7'), 'connect'),
  tls: () => ends(tls.connect(443, 'files.example'), 'secureConnect'),
  http2: () => ends(http2.connect('https://files.example/'), 'connect'),
  datagrams: () => new Promise((done, fail) => { const s = dgram.createSocket('udp4'); s.on('error', fail); s.send('x', 53, '198.51.100.7', (error) => { s.close(); error ? fail(error) : done(); }); }),
  'connected datagrams': () => new Promise((done, fail) => { const s = dgram.createSocket('udp4'); s.on('error', fail); s.connect(53, '198.51.100.7', (error) => { if (error) return fail(error); s.send('x', () => { s.close(); done(); }); }); }),
  lookup: () => new Promise((done, fail) => dns.lookup('files.example', (error, address) => (error ? fail(error) : done(address)))),
  resolve: () => new Promise((done, fail) => dns.resolve4('files.example', (error, address) => (error ? fail(error) : done(address)))),
  promises: () => dns.promises.lookup('files.example'),
  resolver: () => new dns.promises.Resolver().resolve4('files.example'),
};

export const handle = async () => {
  const got = {};
  for (const [name, attempt] of Object.entries(tries)) {
    try {
      await attempt();
      got[name] = 'it got through';
    } catch (error) {
      got[name] = 'refused ' + (error.code ?? error.cause?.code ?? error.name);
    }
  }
  const order = await fetch('https://paper-api.alpaca.markets/v2/orders', { method: 'POST', body: JSON.stringify({ symbol: 'AAPL', qty: '1', side: 'buy' }) });
  got.alpaca = (await order.json()).status === 'accepted' ? 'refused' : 'it got through';
  return got;
};
