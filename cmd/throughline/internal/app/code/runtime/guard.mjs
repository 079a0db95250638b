// Keeps the function's sockets on this machine: connections to hosts that throughline
// dev does not allow are refused, and those to hosts that it plays go to its gateway.
// What it cannot see: sockets of native add-ons and of other processes.
import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';

const given = JSON.parse(process.env._DEV_GUARD || 'null');
delete process.env._DEV_GUARD;

const matches = (host, patterns = []) => {
  const name = host.replace(/\.$/, '').toLowerCase();
  return patterns.some((p) => p === '*' || name === p || (p.startsWith('*.') && name.endsWith(p.slice(1))));
};
const loopback = (host) => !host || host === 'localhost' || host.endsWith('.localhost') || host.startsWith('127.') || ['::1', '::', '0.0.0.0', '::ffff:127.0.0.1'].includes(host);

function refusal(host) {
  const allow = /\.amazonaws\.com\.?$/.test(host) ? 'real AWS needs --aws real' : `allow it with --allow ${host}`;
  const message = `throughline dev refuses a connection to ${host}: ${allow}`;
  console.error(message);
  return Object.assign(new Error(message), { code: 'ECONNREFUSED', syscall: 'connect', address: host });
}

export function on() {
  if (!given) return;
  const [gatewayHost, gatewayPort] = given.gateway.split(':');
  const connect = net.Socket.prototype.connect;
  net.Socket.prototype.connect = function (...args) {
    // net's own functions hand over what they have normalised: an array of options and listener.
    const normalised = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args);
    const options = normalised[0];
    const host = options.host;
    if (options.path || loopback(host)) return connect.apply(this, args);
    const port = Number(options.port), allowed = matches(host, given.allow);
    if ((port === 80 || port === 443) && (allowed || matches(host, given.played))) {
      const moved = [{ ...options, host: gatewayHost, port: Number(gatewayPort), lookup: undefined }, normalised[1]];
      const marks = Object.getOwnPropertySymbols(normalised);
      for (const mark of marks) moved[mark] = normalised[mark];
      return connect.call(this, moved);
    }
    if (allowed) return connect.apply(this, args);
    if (normalised[1]) this.once('connect', normalised[1]);
    process.nextTick(() => this.destroy(refusal(host)));
    return this;
  };
  const send = dgram.Socket.prototype.send, bound = dgram.Socket.prototype.connect;
  dgram.Socket.prototype.send = function (...args) {
    const host = args.find((a, i) => i > 0 && typeof a === 'string');
    if (host !== undefined && !loopback(host) && !matches(host, given.allow)) throw refusal(host);
    return send.apply(this, args);
  };
  dgram.Socket.prototype.connect = function (port, host, ...rest) {
    if (typeof host === 'string' && !loopback(host) && !matches(host, given.allow)) throw refusal(host);
    return bound.call(this, port, host, ...rest);
  };
  const guarded = (object, name, refused) => {
    const real = object[name];
    object[name] = function (host, ...rest) {
      if (typeof host === 'string' && !loopback(host) && !matches(host, given.allow)) return refused(refusal(host), rest);
      return real.call(this, host, ...rest);
    };
  };
  for (const name of Object.keys(dns).filter((n) => n === 'lookup' || n.startsWith('resolve') || n === 'reverse')) {
    guarded(dns, name, (error, rest) => process.nextTick(rest.at(-1), error));
    if (dns.promises[name]) guarded(dns.promises, name, (error) => Promise.reject(error));
  }
  for (const resolver of [dns.Resolver, dns.promises.Resolver]) {
    for (const name of Object.getOwnPropertyNames(resolver.prototype).filter((n) => n.startsWith('resolve') || n === 'reverse')) {
      guarded(resolver.prototype, name, resolver === dns.Resolver ? (error, rest) => process.nextTick(rest.at(-1), error) : (error) => Promise.reject(error));
    }
  }
}
