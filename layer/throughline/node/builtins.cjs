'use strict';
// Node.js's built-in modules, loaded without the hooks that tracers set on require. A tracer instruments a module when the
// process first requires it, and the first require must be that of the function's code.

const { _load: load } = module.constructor;

for (const name of ['async_hooks', 'crypto', 'diagnostics_channel', 'events', 'fs', 'http', 'net', 'path', 'timers']) {
  module.exports[name] = typeof load === 'function' ? load(name, module, false) : require(name);
}
