// A Node function that Throughline sees by its layer alone: nothing here knows
// of it. It handles SignalGenerated, asks the exchange, and publishes what it
// decided.
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';

const alpaca = process.env.ALPACA_URL ?? 'https://paper-api.alpaca.markets';
const events = new EventBridgeClient({});

export async function handle(event) {
  const signal = event.detail;
  const clock = await fetch(`${alpaca}/v2/clock`, { headers: { 'APCA-API-KEY-ID': process.env.ALPACA_KEY ?? '' } });
  const answer = await events.send(new PutEventsCommand({
    Entries: [{
      EventBusName: process.env.BUS ?? 'trading',
      Source: 'trading.portfolio',
      DetailType: 'RebalancePlanned',
      Detail: JSON.stringify({
        event_id: `plan-of-${signal.event_id}`,
        correlation_id: signal.correlation_id,
        market_status: clock.status,
      }),
    }],
  }));
  if (answer.FailedEntryCount) throw new Error(`not published: ${answer.Entries[0].ErrorCode}`);
  return { planned: true };
}
