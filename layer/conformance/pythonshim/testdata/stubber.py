import boto3
from botocore.stub import Stubber, ANY
from put import put
client = boto3.client("events")
entry = {"Source": "s", "DetailType": "T", "Detail": "{}"}
with Stubber(client) as s:
    s.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "stubbed"}]}, {"Entries": [entry]})
    s.add_client_error("put_events", "InternalException", http_status_code=500)
    try: print(client.put_events(Entries=[entry])["Entries"])
    except Exception as e: print(e)
    try: client.put_events(Entries=[entry])
    except Exception as e: print(e)
    try: client.put_events(Entries=[entry])
    except Exception as e: print(type(e).__name__)
    s.assert_no_pending_responses()
put(client, [entry])
