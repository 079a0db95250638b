// A Lambda runtime for Node.js that does as AWS's runtime client, aws-lambda-ric, does:
// handlers, errors, context and log lines. What is not played: Managed Instances.
import { existsSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import * as guard from './guard.mjs';

const { env } = process;
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const WATERMARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const [hostname, port] = env.AWS_LAMBDA_RUNTIME_API.split(':');
const json = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
let current = '-';

class Fault extends Error {
  constructor(name, message, stack) {
    super(message);
    this.name = name;
    const own = name.replace('Runtime.', '').replace(/(Error)?$/, 'Error');
    Object.defineProperty(this, 'constructor', { value: { name: own }, enumerable: false });
    if (stack) this.stack = stack;
  }
}

function call(method, end, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? undefined : Buffer.from(body);
    const request = http.request({ hostname, port, agent, method, path: '/2018-06-01/runtime/' + end, headers: data ? { 'Content-Type': 'application/json', 'Content-Length': data.length, ...headers } : headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part)).on('error', reject).on('end', () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on('error', reject).end(data);
  });
}

// Console lines are one line of the log each, as Lambda has them.
const levels = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const least = levels[env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? 1;
function logger(level) {
  return levels[level] < least ? () => {} : (message, ...params) => {
    const time = new Date().toISOString();
    let line = [time, current, level, format(message, ...params)].join('\t');
    if (json) {
      const entry = { timestamp: time, level, requestId: current, message: params.length ? format(message, ...params) : message };
      const error = params.find((p) => p instanceof Error);
      if (error) Object.assign(entry, { errorType: error.constructor?.name ?? 'UnknownError', errorMessage: error.message, stackTrace: String(error.stack).split('\n') });
      try { line = JSON.stringify(entry, (_, v) => v instanceof Error ? { errorType: v.constructor?.name, errorMessage: v.message, stackTrace: String(v.stack).split('\n'), ...v } : v); } catch { line = JSON.stringify({ ...entry, message: format(message) }); }
    }
    process.stdout.write(line.replace(/\n/g, '\r') + '\n');
  };
}
for (const level of Object.keys(levels)) console[level.toLowerCase()] = logger(level);
console.log = console.info;

// described is an error as Lambda's callers get it.
function described(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  const clean = (text) => text?.replaceAll?.('\x7F', '%7F');
  return { errorType: clean(error.name), errorMessage: clean(error.message), trace: clean(error.stack)?.split('\n') ?? [] };
}
function logError(title, thrown) {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (json) return console.error(error);
  console.error(title, '\t' + JSON.stringify({ errorType: error.name, errorMessage: error.message, code: error.code, ...error, stack: String(error.stack).split('\n') }));
}

async function load(root, handler) {
  if (handler.includes('..')) throw new Fault('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  const base = path.basename(handler), folder = handler.slice(0, handler.indexOf(base)).replace(/\/$/, '');
  const parts = base.match(/^([^.]*)\.(.*)$/);
  if (!parts) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  const require = createRequire(path.join(root, 'index.js'));
  let module;
  try {
    const file = ['', '.js', '.mjs', '.cjs'].map((end) => path.resolve(root, folder, parts[1]) + end).find((name) => existsSync(name));
    module = file ? await import(pathToFileURL(file)) : require(require.resolve(parts[1], { paths: [root, path.join(root, folder)] }));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault('Runtime.UserCodeSyntaxError', String(error), error.stack);
    if (error instanceof Error && error.code === 'MODULE_NOT_FOUND') throw new Fault('Runtime.ImportModuleError', String(error));
    throw error;
  }
  const find = (from) => parts[2].split('.').reduce((at, key) => (at && typeof at === 'object' ? at[key] : undefined), from);
  const found = find(module) ?? (module && typeof module === 'object' && 'default' in module ? find(module.default) : undefined);
  if (!found) throw new Fault('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  if (typeof found !== 'function') throw new Fault('Runtime.HandlerNotFound', `${handler} is not a function`);
  if (found[STREAMING] && found[STREAMING] !== 'response') throw new Fault('Runtime.MalformedStreamingHandler', 'Only response streaming is supported.');
  if (found.length >= 3 && !found[STREAMING] && Number(env.AWS_EXECUTION_ENV?.match(/nodejs(\d+)/)?.[1]) >= 24) {
    throw new Fault('Runtime.CallbackHandlerDeprecated', 'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
  }
  return found;
}

function contextOf(headers) {
  const parse = (name, title) => {
    if (!headers[name]) return undefined;
    try { return JSON.parse(headers[name]); } catch (error) { throw new Fault('Runtime.PlatformError', `Failed to parse ${title} as JSON: ${error.message}`); }
  };
  const deadline = parseInt(headers['lambda-runtime-deadline-ms'], 10);
  return {
    clientContext: parse('lambda-runtime-client-context', 'lambda-runtime-client-context'), identity: parse('lambda-runtime-cognito-identity', 'lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'], awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'], xRayTraceId: headers['lambda-runtime-trace-id'], getRemainingTimeInMillis: () => deadline - Date.now(),
    functionName: env.AWS_LAMBDA_FUNCTION_NAME, functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION, memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME, logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME, callbackWaitsForEmptyEventLoop: true,
  };
}

// run calls the handler: with a callback where it has one, and it may return a promise in any case.
function run(handle, event, context) {
  if (handle.length < 3) return Promise.resolve(handle(event, context));
  return new Promise((resolve, reject) => {
    const done = (error, result) => (error === undefined || error === null ? resolve(result) : reject(error));
    Object.assign(context, { done, succeed: resolve, fail: reject });
    const result = handle(event, context, done);
    if (typeof result?.then === 'function') result.then(resolve, reject);
  });
}

// stream has a handler write its response as it comes.
async function stream(handle, event, context, id) {
  const request = http.request({ hostname, port, method: 'POST', path: `/2018-06-01/runtime/invocation/${id}/response`, highWaterMark: handle[WATERMARK],
    headers: { 'Lambda-Runtime-Function-Response-Mode': 'streaming', Trailer: ['Lambda-Runtime-Function-Error-Type', 'Lambda-Runtime-Function-Error-Body'], 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' } });
  const answered = new Promise((resolve, reject) => request.on('error', reject).on('response', (response) => response.resume().on('end', resolve)));
  const write = request.write.bind(request);
  let first = true;
  request.setContentType = (type) => request.setHeader('Content-Type', type);
  request.write = (chunk, ...rest) => {
    if (first && request._onBeforeFirstWrite) request._onBeforeFirstWrite(write);
    first = false;
    return write(typeof chunk === 'string' || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk), ...rest);
  };
  try {
    const result = handle(event, request, context);
    if (typeof result?.then !== 'function') throw new Error('Streaming does not support non-async handlers.');
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    await answered;
    if (!request.writableFinished) throw new Error('Response stream is not finished.');
  } catch (error) {
    logError('Invoke Error', error);
    const told = described(error);
    request.addTrailers({ 'Lambda-Runtime-Function-Error-Type': told.errorType, 'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(told)).toString('base64') });
    request.end();
    await answered;
  }
}

globalThis.awslambda = {
  ...globalThis.awslambda,
  streamifyResponse: (handler, options) => {
    handler[STREAMING] = 'response';
    if (typeof options?.highWaterMark === 'number') handler[WATERMARK] = options.highWaterMark;
    return handler;
  },
  HttpResponseStream: class {
    static from(stream, prelude) {
      stream.setContentType('application/vnd.awslambda.http-integration-response');
      stream._onBeforeFirstWrite = (write) => { write(JSON.stringify(prelude)); write(new Uint8Array(8)); };
      return stream;
    }
  },
};

guard.on();
let handle;
try {
  handle = await load(env.LAMBDA_TASK_ROOT, env._HANDLER);
} catch (error) {
  logError('Init Error', error);
  const told = described(error);
  await call('POST', 'init/error', JSON.stringify(told), { 'Lambda-Runtime-Function-Error-Type': told.errorType });
  process.exit(1);
}
for (;;) {
  const next = await call('GET', 'invocation/next');
  const id = next.headers['lambda-runtime-aws-request-id'];
  current = id;
  if (next.headers['lambda-runtime-trace-id']) env._X_AMZN_TRACE_ID = next.headers['lambda-runtime-trace-id'];
  else delete env._X_AMZN_TRACE_ID;
  try {
    const context = contextOf(next.headers), event = JSON.parse(next.body);
    if (handle[STREAMING]) {
      await stream(handle, event, context, id);
      continue;
    }
    const result = await run(handle, event, context);
    let text;
    try { text = JSON.stringify(result === undefined ? null : result); } catch { throw new Fault('Runtime.JSONStringifyError', 'Unable to stringify response body'); }
    await call('POST', `invocation/${encodeURIComponent(id)}/response`, text ?? 'null');
  } catch (error) {
    logError('Invoke Error', error);
    const told = described(error);
    await call('POST', `invocation/${encodeURIComponent(id)}/error`, JSON.stringify(told));
  }
}
