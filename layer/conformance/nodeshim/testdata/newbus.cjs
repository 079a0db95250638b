'use strict';
// Puts events on a new custom bus through the SDK in the way that the variable HOW names, and prints what the caller gets.
const { EventBridgeV2Client, ListEventBusesCommand, PutEventsCommand, PutRawEventsCommand } = require('./eventbridgev2.cjs');
const agents = require('https-proxy-agent');
const publish = require('./publish.cjs');

const HOW = process.env.HOW || '';
const EventBusArn = process.env.BUS_ARN || 'arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7';
const count = { 'two entries': 2, deduplicated: 2, 'a hundred': 100 }[HOW] || 1;
const Detail = HOW === 'large' ? JSON.stringify({ t: 'x'.repeat(200000) }) : '{"event_id": "order-1", "n": 12345678901234567890, "t": "< ünï \u{1f600}"}';
const SystemMetadata = HOW === 'deduplicated' ? { EventGroupId: 'c-7', DeduplicationId: 'd-1' } : undefined;
const more = HOW === 'by content' ? { DeduplicationConfiguration: { DeduplicationType: 'CONTENT_BASED' } } : {};

const events = {
  EventBusArn, ...more,
  Entries: Array.from({ length: count }, () => ({ Source: 'shop', DetailType: 'OrderPlaced', Detail, Resources: ['arn:aws:s3:::b'], Time: new Date('2026-11-27T10:00:00Z'), SystemMetadata })),
};
const raw = {
  EventBusArn, ...more,
  Entries: Array.from({ length: count }, (_, n) => ({
    Data: n % 2 ? Uint8Array.from({ length: 256 }, (__, i) => i) : Buffer.from(Detail), Metadata: { tenant: 't-1' }, SystemMetadata: { ...SystemMetadata, ContentType: n % 2 ? 'application/octet-stream' : 'application/json' },
  })),
};

// The requests that the recorded bytes of AWS's clients are of.
const recorded = 'arn:aws:events:eu-central-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7';
const golden = [{
  EventBusArn: recorded,
  Entries: [
    { Source: 'shop', DetailType: 'OrderPlaced', Detail: '{"event_id":"order-1","ü":"✓"}', Resources: ['arn:aws:s3:::b'], Time: new Date('2026-11-27T10:00:00Z'), SystemMetadata: { EventGroupId: 'customer-7' } },
    { Source: 'shop', DetailType: 'OrderPaid', Detail: '{}' },
  ],
}, {
  EventBusArn: recorded,
  Entries: [
    { Data: Buffer.from('{"event_id":"order-1","event_type":"OrderPlaced"}'), Metadata: { tenant: 't-1' }, SystemMetadata: { ContentType: 'application/json' } },
    { Data: Uint8Array.from([0, 255]), SystemMetadata: { ContentType: 'application/octet-stream', EventGroupId: 'customer-7' } },
  ],
}];

(async () => {
  const client = new EventBridgeV2Client(publish.settings({ agents }));
  const send = async (command) => {
    try {
      const { $metadata: { attempts, httpStatusCode }, ...rest } = await client.send(command);
      return [JSON.stringify(rest), attempts, httpStatusCode].join(' ');
    } catch (error) {
      return [error.name, String(error.message).slice(0, 300), /throughline/.test(error.stack)].join(' ');
    }
  };
  const before = JSON.stringify([events, raw]);
  if (HOW === 'another operation') console.log(await send(new ListEventBusesCommand({})));
  else {
    const [first, second] = HOW === 'golden' ? golden : [events, raw];
    console.log(await send(new PutEventsCommand(first)));
    if (!process.env.ONE) console.log(await send(new PutRawEventsCommand(second)));
  }
  const together = await Promise.all(Array.from({ length: Number(process.env.MORE || 0) }, () => send(new PutEventsCommand(events))));
  console.log(together.sort().join('\n'));
  console.log(JSON.stringify([events, raw]) === before);
  client.destroy();
  await new Promise((done) => { setTimeout(done, 50); }); // reports are on their way
})();
