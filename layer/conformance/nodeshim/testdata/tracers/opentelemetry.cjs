'use strict';
const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');
const at = require.resolve('@opentelemetry/auto-instrumentations-node');
const { NodeSDK } = require(require.resolve('@opentelemetry/sdk-node', { paths: [at] }));

const spans = [];
global.spans = () => spans.sort().join('\n');
const processor = {
  onStart() {},
  onEnd(span) { spans.push(`${span.name} ${span.kind} ${span.attributes['net.peer.port'] || span.attributes['server.port'] || ''} ${span.attributes['http.status_code'] || span.attributes['http.response.status_code'] || ''}`); },
  forceFlush: async () => {},
  shutdown: async () => {},
};
new NodeSDK({ spanProcessors: [processor], instrumentations: [getNodeAutoInstrumentations({ '@opentelemetry/instrumentation-fs': { enabled: false } })] }).start();
