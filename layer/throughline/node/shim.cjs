'use strict';
// NODE_OPTIONS loads this file before the function's own code. It reports outbound HTTP calls, PutEvents requests and calls
// that leave the bus to the extension, all of unmodified code. It replaces no function and no export of Node.js. If
// something that it needs is missing or denied, the process runs as without it.

try {
  require('./outbound.cjs').start();
} catch { /* an old Node.js, or a missing permission */ }
try {
  require('./events.cjs').start();
} catch { /* as above */ }
try {
  require('./hops.cjs').start();
} catch { /* as above */ }
try {
  require('./answers.cjs').start();
} catch { /* as above */ }
