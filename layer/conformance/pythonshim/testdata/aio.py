import asyncio, json, os
import aioboto3
async def main():
    async with aioboto3.Session().client("events", endpoint_url=os.environ["API"]) as client:
        async def put(n):
            r = await client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": json.dumps({"n": n})}])
            return r["FailedEntryCount"], len(r["Entries"])
        print(await put(0))
        print(await asyncio.gather(*(put(n) for n in range(8))))
        seen = []
        async def handler(**kwargs): seen.append(sorted(kwargs))
        client.meta.events.register("before-call.eventbridge.PutEvents", handler)
        client.meta.events.register("after-call.eventbridge.PutEvents", handler)
        print(await put(9), seen)
asyncio.run(main())
