import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import * as agents from 'https-proxy-agent';
import publish from './publish.cjs';

await publish.v3({ EventBridgeClient, PutEventsCommand }, agents);
