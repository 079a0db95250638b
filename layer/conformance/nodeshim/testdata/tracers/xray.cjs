'use strict';
const xray = require('aws-xray-sdk');
xray.setContextMissingStrategy('IGNORE_ERROR');
xray.captureHTTPsGlobal(require('http'));
xray.captureHTTPsGlobal(require('https'));
xray.capturePromise();
