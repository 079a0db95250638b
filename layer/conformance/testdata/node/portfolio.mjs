// A user's function: it knows nothing of Throughline.
import http from 'node:http';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';

const client = new EventBridgeClient({});

function order(body) {
  return new Promise((resolve, reject) => {
    const req = http.request(`${process.env.ALPACA_URL}/v2/orders`, { method: 'POST', headers: { 'APCA-API-KEY-ID': 'PKNODE' } }, (res) => {
      res.resume();
      res.on('end', () => resolve(res.statusCode));
    });
    req.on('error', reject);
    req.end(body);
  });
}

export async function handle(batch) {
  for (const record of batch.Records) {
    const signal = JSON.parse(record.body).detail;
    const status = await order('{"symbol":"AAPL"}');
    const clock = await fetch(`${process.env.ALPACA_URL}/v2/clock`);
    await client.send(new PutEventsCommand({
      Entries: [{
        Source: 'alchemiser.portfolio', DetailType: 'RebalancePlanned', EventBusName: 'trading',
        Detail: JSON.stringify({ event_id: 'plan-1', correlation_id: signal.correlation_id, status, clock: clock.status, note: '5 < 6 & ünï' }),
      }],
    }));
  }
  return { batchItemFailures: [] };
}
