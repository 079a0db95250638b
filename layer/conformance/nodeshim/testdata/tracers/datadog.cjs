'use strict';
require('dd-trace').init({ startupLogs: false, url: 'http://127.0.0.1:1' });
