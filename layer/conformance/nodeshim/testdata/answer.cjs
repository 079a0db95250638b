'use strict';
// As a runtime client does: it makes a call that leaves the bus, and answers on a connection that is open.
const http = require('http');
const { SQS } = require('@aws-sdk/client-sqs');

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ask = (method, path, body) => new Promise((resolve, reject) => {
  http.request({ hostname, port, method, path: `/2018-06-01/runtime/invocation/${path}`, agent }, (response) => response.resume().on('end', resolve)).on('error', reject).end(body);
});

(async () => {
  const client = new SQS({ region: 'us-east-1' });
  for (let n = 0; n < 20; n++) {
    await ask('GET', 'next');
    await client.sendMessage({ QueueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', MessageBody: 'text' });
    await ask('POST', 'r-1/response', '{}');
  }
  client.destroy();
  agent.destroy();
})();
