exports.handle = async () => 'CommonJS';
exports.callback = (event, context, callback) => callback(null, 'called back');
