# Started with -X dev: warnings of ours would be seen.
import os, requests
print(requests.get(os.environ["API"] + "/v2/clock").status_code)
