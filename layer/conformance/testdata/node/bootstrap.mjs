// A Lambda runtime for Node, for where AWS's own is not installed.
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;
const [file, name] = process.env._HANDLER.split('.');
const { [name]: handle } = await import(pathToFileURL(path.join(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)));
for (;;) {
  const next = await fetch(`${base}/invocation/next`);
  const id = next.headers.get('lambda-runtime-aws-request-id');
  process.env._X_AMZN_TRACE_ID = next.headers.get('lambda-runtime-trace-id') ?? '';
  const event = await next.json();
  try {
    await fetch(`${base}/invocation/${id}/response`, { method: 'POST', body: JSON.stringify(await handle(event)) });
  } catch (error) {
    await fetch(`${base}/invocation/${id}/error`, { method: 'POST', body: JSON.stringify({ errorType: error.name, errorMessage: error.message }) });
  }
}
