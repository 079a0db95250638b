# Every way to configure where a call goes, against every other.
import itertools, os, shutil, tempfile
import boto3, botocore.config
from put import put
folder = tempfile.mkdtemp()
api, proxy = os.environ["API"], os.environ["PROXY"]
def variable(name, value): return lambda env, shared, config, code: env.__setitem__(name, value)
def shared(key, value): return lambda env, file, config, code: file.__setitem__(key, value)
def config(key, value): return lambda env, file, cfg, code: cfg.__setitem__(key, value)
def code(key, value): return lambda env, file, cfg, kw: kw.__setitem__(key, value)
def other(env, file, cfg, kw): kw.update(aws_access_key_id="AKIDOTHER", aws_secret_access_key="x", aws_session_token="y")
nothing = lambda *_: None
ways = {
    "fips": [nothing, variable("AWS_USE_FIPS_ENDPOINT", "true"), shared("use_fips_endpoint", "true"), config("use_fips_endpoint", True)],
    "dual": [nothing, variable("AWS_USE_DUALSTACK_ENDPOINT", "true"), shared("use_dualstack_endpoint", "true"), config("use_dualstack_endpoint", True)],
    "endpoint": [nothing, variable("AWS_ENDPOINT_URL_EVENTBRIDGE", api), variable("AWS_ENDPOINT_URL", api), shared("endpoint_url", api), code("endpoint_url", api)],
    "proxy": [nothing, variable("HTTPS_PROXY", proxy), config("proxies", {"https": proxy, "http": proxy})],
    "key": [nothing, other], "region": [nothing, code("region_name", "eu-central-1")],
}
depth = int(os.environ["DEPTH"])  # how many of them differ from the default at once
plain = dict(os.environ)
for n, choice in enumerate(itertools.product(*(range(len(w)) for w in ways.values()))):
    if sum(1 for c in choice if c) > depth: continue
    env, file, cfg, kw = {}, {}, {}, {}
    for index, way in zip(choice, ways.values()): way[index](env, file, cfg, kw)
    os.environ.update(env)
    path = os.path.join(folder, str(n))
    with open(path, "w") as f: f.write("[default]\n" + "".join("%s = %s\n" % item for item in file.items()))
    os.environ["AWS_CONFIG_FILE"] = path
    print(choice)
    try: client = boto3.session.Session().client("events", config=botocore.config.Config(retries={"max_attempts": 0}, **cfg), **kw)
    except Exception as e: print(type(e).__name__, e)
    else: put(client, [{"Source": "s", "DetailType": "T", "Detail": '{"n": %d}' % n}])
    for name in env: os.environ.pop(name)
    os.environ.update((k, plain[k]) for k in env if k in plain)
shutil.rmtree(folder); del os.environ["AWS_CONFIG_FILE"]
