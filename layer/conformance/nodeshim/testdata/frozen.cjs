'use strict';
// Makes a call for each line of its input and prints the status.
const http = require('http');

require('readline').createInterface({ input: process.stdin }).on('line', () => {
  http.get(`${process.env.API}/v2/clock`, (res) => { res.resume(); console.log(res.statusCode); });
});
