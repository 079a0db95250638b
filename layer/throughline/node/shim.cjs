'use strict';
// Loaded by NODE_OPTIONS before the function's own code. It lets the extension see outbound HTTP calls, PutEvents requests
// and calls that leave the bus, all of unmodified code. It replaces no function and no export of Node.js. Where something
// that it needs is missing or refused, the process runs as without it.

try {
  require('./outbound.cjs').start();
} catch { /* an old Node.js, or a permission that is missing */ }
try {
  require('./events.cjs').start();
} catch { /* as above */ }
try {
  require('./hops.cjs').start();
} catch { /* as above */ }
try {
  require('./answers.cjs').start();
} catch { /* as above */ }
