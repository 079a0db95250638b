// A user's function on AWS's runtime client for Node.js: it does what its event says, and knows nothing of Throughline.
import { setTimeout as pause } from 'node:timers/promises';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';

const client = new EventBridgeClient({});

export const handle = async (event) => {
  console.log('handles', event.id);
  switch (event.do) {
    case 'publish': {
      const answer = await client.send(new PutEventsCommand({
        Entries: [{ Source: 's', DetailType: 'Planned', Detail: `{"event_id": ${JSON.stringify(event.id)}, "n": 12345678901234567890, "text": "< ünï"}` }],
      }));
      return { failed: answer.FailedEntryCount, entries: answer.Entries.length };
    }
    case 'call':
      return { plain: (await fetch(`${process.env.API}/v2/clock`)).status };
    case 'fail':
      throw new RangeError(`no: ${event.id} ünï${event.text ?? ''}`);
    case 'exit':
      process.exit(3);
      break;
    case 'sleep':
      await pause(60_000);
      break;
    case 'rest':
      await pause(event.seconds * 1000);
      return { rested: event.id };
    case 'large':
      return { text: 'z'.repeat(5 << 20), read: (event.text ?? '').length };
  }
};
