'use strict';
require('./publish.cjs').v2(require('aws-sdk'), require('https-proxy-agent'));
