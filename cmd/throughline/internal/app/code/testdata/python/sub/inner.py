def handle(event, context):
    return __name__
