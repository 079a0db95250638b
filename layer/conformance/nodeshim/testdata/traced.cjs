'use strict';
// Calls of every kind in a process that a tracer observes as well.
const http = require('http');
const { EventBridgeClient, PutEventsCommand } = require('@aws-sdk/client-eventbridge');

const { API } = process.env;
const print = (...a) => console.log(...a);
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

(async () => {
  await new Promise((done) => {
    http.get(`${API}/v2/clock`, (res) => { print(res.statusCode); res.resume(); res.on('end', done); });
  });
  await new Promise((done) => { http.request(`${API}/big`, { method: 'POST' }, (res) => res.resume()).on('close', done).end('x'); });
  print((await (await fetch(`${API}/v2/clock`)).text()).length);
  const client = new EventBridgeClient({});
  const put = () => client.send(new PutEventsCommand({ Entries: [{ Source: 's', DetailType: 'T', Detail: '{"a":1}' }] }));
  for (let n = 0; n < 2; n++) print((await put()).Entries[0].EventId);
  const agent = http.globalAgent;
  for (const until = Date.now() + 5000; Object.keys(agent.sockets).length > 0 && Date.now() < until;) await wait(20);
  print(Object.keys(agent.sockets).length);
  await wait(100);
  if (global.spans) print(global.spans());
  await new Promise((done) => { http.get(`${API}/close`).on('error', (error) => { print(error.code); done(); }); });
  process.exit();
})();
