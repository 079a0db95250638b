'use strict';
// Leads TLS connections to the stand-in that answers for every host, whatever they are for.
const https = require('https');

const connect = https.Agent.prototype.createConnection;
https.Agent.prototype.createConnection = function createConnection(options, ...rest) {
  const [host, port] = process.env.GATEWAY.split(':');
  return connect.call(this, { ...options, host, port, servername: options.servername || options.host }, ...rest);
};
