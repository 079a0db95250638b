'use strict';
// Publishes through AWS's SDK in the way that the variable HOW names, and prints what the caller gets.

const entries = () => Array.from({ length: process.env.HOW === 'two entries' ? 2 : 1 }, () => ({ Source: 's', DetailType: 'T', Detail: process.env.HOW === 'large' ? JSON.stringify({ t: 'x'.repeat(200000) }) : '{"n": 12345678901234567890, "t": "< ünï"}' }));
const text = ({ $metadata, ...rest }) => JSON.stringify(rest);

exports.settings = ({ agents }) => ({
  'FIPS in code': { useFipsEndpoint: true },
  'dual-stack in code': { useDualstackEndpoint: true },
  'endpoint in code': { endpoint: process.env.API },
  'another region': { region: 'eu-central-1' },
  'another key': { credentials: { accessKeyId: 'AKIDOTHER', secretAccessKey: 'x', sessionToken: 'y' } },
  'proxy in code': { requestHandler: { httpsAgent: new agents.HttpsProxyAgent(process.env.PROXY) } },
  'a short timeout': { requestHandler: { requestTimeout: 1000, connectionTimeout: 500 } },
  'one socket': { requestHandler: { httpsAgent: { maxSockets: 1 } } },
}[process.env.HOW] || {});

exports.v3 = async ({ EventBridgeClient, PutEventsCommand }, agents) => {
  const client = new EventBridgeClient(exports.settings({ agents }));
  const input = { Entries: entries(), ...(process.env.HOW === 'SigV4a' ? { EndpointId: 'abcde.veo' } : {}) };
  const before = JSON.stringify(input);
  const put = async () => {
    try {
      const out = await client.send(new PutEventsCommand(input));
      return [text(out), out.$metadata.attempts, out.$metadata.httpStatusCode].join(' ');
    } catch (error) {
      return [error.name, error.message, /throughline/.test(error.stack)].join(' ');
    }
  };
  console.log(await put());
  const more = await Promise.all(Array.from({ length: Number(process.env.MORE || 0) }, put));
  console.log(more.sort().join('\n'));
  console.log(JSON.stringify(input) === before);
  client.destroy();
  await new Promise((done) => { setTimeout(done, 50); }); // reports are on their way
};

exports.v2 = async (AWS, agents) => {
  const settings = {
    'FIPS in code': { useFipsEndpoint: true },
    'endpoint in code': { endpoint: process.env.API },
    'another region': { region: 'eu-central-1' },
    'another key': { credentials: { accessKeyId: 'AKIDOTHER', secretAccessKey: 'x', sessionToken: 'y' } },
    'proxy in code': { httpOptions: { agent: new agents.HttpsProxyAgent(process.env.PROXY) } },
    'a short timeout': { httpOptions: { timeout: 1000 } },
    'clock': { correctClockSkew: true },
  }[process.env.HOW] || {};
  const client = new AWS.EventBridge({ region: process.env.AWS_REGION, ...settings });
  try {
    console.log(JSON.stringify(await client.putEvents({ Entries: entries() }).promise()));
  } catch (error) {
    console.log(error.code, error.message, /throughline/.test(error.stack));
  }
  await new Promise((done) => { setTimeout(done, 50); });
};
