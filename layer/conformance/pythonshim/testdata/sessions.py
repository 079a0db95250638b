# Sessions in every way that there is to make one.
import botocore.session, boto3
from put import put
entry = [{"Source": "s", "DetailType": "T", "Detail": "{}"}]
put(boto3.client("events"), entry)
put(boto3.session.Session().client("events"), entry)
put(botocore.session.get_session().create_client("events"), entry)
put(botocore.session.Session(include_builtin_handlers=False).create_client("events"), entry)
import importlib, botocore.handlers
importlib.reload(botocore.handlers)
put(boto3.session.Session().client("events"), entry)
client = boto3.client("events")
print(client.list_rules.__name__, client.generate_presigned_url("list_rules").split("?")[0])
