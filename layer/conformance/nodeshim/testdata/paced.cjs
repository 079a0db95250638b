'use strict';
// Publishes once for each line of its input.
const { EventBridgeClient, PutEventsCommand } = require('@aws-sdk/client-eventbridge');

const client = new EventBridgeClient({});
require('readline').createInterface({ input: process.stdin }).on('line', async () => {
  const { $metadata } = await client.send(new PutEventsCommand({ Entries: [{ Source: 's', DetailType: 'T', Detail: '{}' }] }));
  console.log($metadata.httpStatusCode);
});
