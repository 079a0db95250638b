import os

import who


def handle(event, context):
    with open(os.environ["WORDS"]) as words:
        return "%s %s" % (words.read(), who.WHO)
