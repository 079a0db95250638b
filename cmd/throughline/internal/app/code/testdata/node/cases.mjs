// Handlers that ours and AWS's runtime client have to run alike.
export const echo = async (event) => event;
export const nothing = async () => {};
export const text = async () => 'grüße';
export const plain = (event) => ({ plain: event });
export const unwritable = async () => { const round = {}; round.round = round; return round; };
export const big = async () => 1n;
export class Odd extends Error { constructor(message) { super(message); this.name = 'Odd'; this.extra = 7; } }
export const fails = async () => { throw new Odd('it went wrong'); };
export const throwsText = async () => { throw 'a text'; };
export const throwsNothing = async () => { throw undefined; };
export const rejects = () => Promise.reject(new TypeError('rejected'));
export const exits = async () => process.exit(3);
export const throwsLater = async () => { setTimeout(() => { throw new Error('later'); }, 5); await new Promise((done) => setTimeout(done, 5000)); };
export const rejectsLater = async () => { Promise.reject(new Error('nobody listens')); await new Promise((done) => setTimeout(done, 5000)); };
export const context = async (event, context) => {
  const remaining = context.getRemainingTimeInMillis();
  return {
    name: context.functionName, version: context.functionVersion, arn: context.invokedFunctionArn, memory: context.memoryLimitInMB, group: context.logGroupName,
    stream: !!context.logStreamName, request: context.awsRequestId.length, remaining: remaining > 0 && remaining <= 10000, client: context.clientContext, identity: context.identity,
    tenant: context.tenantId, trace: (process.env._X_AMZN_TRACE_ID ?? '').slice(0, 5), own: (context.xRayTraceId ?? '').slice(0, 5),
  };
};
export const logs = async () => {
  console.log('a %s', 'line', { a: 1 });
  console.error(new Error('logged'));
  console.warn('two\nlines');
  console.debug('debugged');
  process.stdout.write('written\n');
  return true;
};
export const nested = { inner: { handle: async () => 'nested' } };
export const value = 7;
export const streams = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('text/plain');
  stream.write('one ');
  stream.write('two');
  stream.end();
});
export const streamsMetadata = awslambda.streamifyResponse(async (event, stream) => {
  const out = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
  out.write('body');
  out.end();
});
