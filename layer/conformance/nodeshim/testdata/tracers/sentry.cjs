'use strict';
require('@sentry/node').init({ dsn: 'http://a@127.0.0.1:1/1', tracesSampleRate: 1, release: 'r' });
