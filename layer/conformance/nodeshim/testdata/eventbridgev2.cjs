'use strict';
// A client of EventBridgeV2: PutEvents and PutRawEvents as AWS's own one makes them, by the parts of the SDK for JavaScript
// that it is made of. The protocol, the retries, the signer, the HTTP handler and the configuration are the SDK's.
const { createRequire } = require('module');
const eventbridge = require('@aws-sdk/client-eventbridge');

const sdk = createRequire(require.resolve('@aws-sdk/client-eventbridge'));
const { AwsSmithyRpcV2CborProtocol } = sdk('@aws-sdk/core/protocols');
const { makeBuilder } = sdk('@smithy/core/client');
const { getEndpointPlugin } = sdk('@smithy/core/endpoints');

const NS = 'com.amazonaws.eventbridgev2';
// Schemas of shapes: 3 is a structure, 1 a list, 2 a map, 9 an operation; in them 0 is a text, 1 a number, 4 a time, 21 bytes.
const structure = (name, members, required = 0) => [3, NS, name, 0, Object.keys(members), Object.values(members), required];
const list = (name, member) => [1, NS, name, 0, () => member];
const texts = 64 | 0;
const metadata = 128 | 0;

const system = structure('PutEventsSystemMetadata', { EventGroupId: 0, DeduplicationId: 0 });
const rawSystem = structure('PutRawEventsSystemMetadata', { ContentType: 0, DeduplicationId: 0, EventGroupId: 0 }, 1);
const deduplication = structure('DeduplicationConfiguration', { DeduplicationType: 0 }, 1);
const entry = structure('PutEventsRequestEntry', { Source: 0, DetailType: 0, Detail: 0, Resources: texts, Time: 4, SystemMetadata: () => system }, 2);
const rawEntry = structure('PutRawEventsRequestEntry', { Data: 21, SystemMetadata: () => rawSystem, Metadata: metadata }, 2);
const result = structure('PutEventsResultEntry', { EventId: 0, SequenceNumber: 0, SuccessCode: 0, ErrorCode: 0, ErrorMessage: 0 });
const answer = structure('PutEventsResponse', { FailedEntryCount: 1, Entries: list('PutEventsResultEntryList', result) });
const input = (name, of) => structure(name, { EventBusArn: 0, Entries: list(`${name}EntryList`, of), DeduplicationConfiguration: () => deduplication }, 2);

const parameters = {
  UseFIPS: { type: 'builtInParams', name: 'useFipsEndpoint' },
  Endpoint: { type: 'builtInParams', name: 'endpoint' },
  Region: { type: 'builtInParams', name: 'region' },
  UseDualStack: { type: 'builtInParams', name: 'useDualstackEndpoint' },
};
const command = makeBuilder(parameters, 'AWSEventsV2', 'EventBridgeV2Client', getEndpointPlugin);
const operation = (name, of) => class extends command({}, () => [], name, [9, NS, name, 0, () => input(`${name}Request`, of), () => answer]) {};

exports.PutEventsCommand = operation('PutEvents', entry);
exports.PutRawEventsCommand = operation('PutRawEvents', rawEntry);
// Another operation, of which nothing is stamped.
exports.ListEventBusesCommand = class extends command({}, () => [], 'ListEventBuses', [9, NS, 'ListEventBuses', 0, () => structure('ListEventBusesRequest', { NamePrefix: 0 }), () => structure('ListEventBusesResponse', { NextToken: 0 })]) {};

exports.EventBridgeV2Client = class extends eventbridge.EventBridgeClient {
  constructor(config) {
    super({
      serviceId: 'EventBridgeV2', protocol: AwsSmithyRpcV2CborProtocol, protocolSettings: { defaultNamespace: NS, version: '2025-05-15', serviceTarget: 'AWSEventsV2' },
      // The bus's account stands in front, as in AWS's rules.
      endpointProvider: ({ Region, Endpoint, UseFIPS }) => ({ url: new URL(Endpoint || `https://123456789012.eventsv2${UseFIPS ? '-fips' : ''}.${Region}.amazonaws.com`), headers: {}, properties: {} }),
      ...config,
    });
  }
};
