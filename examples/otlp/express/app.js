// A stock service in Express without Throughline: its spans are those of
// OpenTelemetry's distribution. It calls the price list at PRICE_URL.
//
//     npm install
//     export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
//     OTEL_SERVICE_NAME=stock PORT=5002 node --require @opentelemetry/auto-instrumentations-node/register app.js
//     curl http://127.0.0.1:5002/stock/tea

const express = require('express');

const app = express();
app.get('/stock/:item', async (request, response) => {
  const prices = process.env.PRICE_URL;
  const price = prices ? await (await fetch(`${prices}/price/${request.params.item}`)).text() : 'no price';
  response.send(`3 left, ${price}`);
});
const server = app.listen(process.env.PORT || 0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
