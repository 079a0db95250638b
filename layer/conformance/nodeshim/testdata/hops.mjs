// The calls of hops.cjs, by SDKs that are imported.
import * as Lambda from '@aws-sdk/client-lambda';
import * as Scheduler from '@aws-sdk/client-scheduler';
import * as SFN from '@aws-sdk/client-sfn';
import * as SNS from '@aws-sdk/client-sns';
import * as SQS from '@aws-sdk/client-sqs';
import hops from './hops.cjs';

const libraries = { Lambda, Scheduler, SFN, SNS, SQS };
(async () => {
  await hops.run((service) => libraries[service], process.argv[2] === 'v2' && (await import('aws-sdk')).default);
})();
