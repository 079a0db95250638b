'use strict';
if (process.env.HOW === 'SigV4a') require('@aws-sdk/signature-v4a');
require('./publish.cjs').v3(require('@aws-sdk/client-eventbridge'), require('https-proxy-agent'));
