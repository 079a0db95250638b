'use strict';
// Writes the pending reports before the runtime client sends the response of an invocation. With the response the
// extension considers the invocation complete, and exports: a later report waits for the environment's next invocation.

const { actNow, reachable } = require('./loopback.cjs');
const { requests } = require('./watch.cjs');

const runtime = process.env.AWS_LAMBDA_RUNTIME_API;

function start() {
  if (reachable) requests((req) => { if (req.getHeader('host') === runtime) actNow(); });
}

module.exports = { start };
