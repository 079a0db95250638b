'use strict';
// Reports of calls are written before the runtime client answers its invocation. By the answer the extension knows that
// the invocation is over, and exports: a report that comes later waits for the next invocation of this environment.

const { actNow, reachable } = require('./loopback.cjs');
const { requests } = require('./watch.cjs');

const runtime = process.env.AWS_LAMBDA_RUNTIME_API;

function start() {
  if (reachable) requests((req) => { if (req.getHeader('host') === runtime) actNow(); });
}

module.exports = { start };
