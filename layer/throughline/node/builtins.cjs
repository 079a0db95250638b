'use strict';
// Node.js's own modules, loaded past the hooks that tracers set on require: a tracer instruments a module when the
// process requires it for the first time, and that is for the function's code to do.

const { _load: load } = module.constructor;

for (const name of ['async_hooks', 'crypto', 'diagnostics_channel', 'events', 'fs', 'http', 'net', 'path', 'timers']) {
  module.exports[name] = typeof load === 'function' ? load(name, module, false) : require(name);
}
