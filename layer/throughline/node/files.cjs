'use strict';
// The files that the shim shares with the extension, as docs/loopback.md describes them. They are in a folder that only
// this user can write to. A file that another user may have created or changed is ignored.

const { fs, path } = require('./builtins.cjs');

const directory = path.join(process.env.TMPDIR || '/tmp', 'throughline');
const uid = process.getuid ? process.getuid() : -1;
// The originals, taken before a test framework replaces them.
const { closeSync, fstatSync, lstatSync, openSync, readSync, writeSync } = fs;
// O_NONBLOCK: opening a FIFO in place of a file does not block.
const FLAGS = fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
const LIMIT = 1 << 20;
const LINE = 4096; // bytes: a longer write can interleave with another process's (PIPE_BUF)

const ours = (stat) => stat.uid === uid && (stat.mode & 0o022) === 0;

// open returns the descriptor of a file that only this user can change, and its status. It throws if there is none.
function open(name, is, flags) {
  const directoryStat = lstatSync(directory);
  if (!directoryStat.isDirectory() || !ours(directoryStat)) throw new Error('foreign');
  const fd = openSync(path.join(directory, name), flags | FLAGS);
  const stat = fstatSync(fd);
  if (is(stat) && ours(stat)) return { fd, stat };
  closeSync(fd);
  throw new Error('foreign');
}

// read returns the bytes of a file. It throws if there is none.
function read(name) {
  const { fd, stat } = open(name, (s) => s.isFile(), fs.constants.O_RDONLY);
  try {
    const bytes = Buffer.allocUnsafe(Math.min(stat.size, LIMIT));
    return bytes.slice(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

let pipe = null;
try {
  const [, port] = /:(\d+)$/.exec(process.env.AWS_LAMBDA_RUNTIME_API); // the name of the pipe contains the extension's port
  pipe = open(`reports.${port}`, (s) => s.isFIFO(), fs.constants.O_RDWR); // also for reading: no SIGPIPE without the extension
} catch { /* reports are sent over HTTP */ }

// write writes a line to the pipe of reports without blocking. It returns whether the pipe accepted the line.
function write(line, encoding) {
  if (!pipe || line.length > LINE) return false;
  const bytes = Buffer.from(line, encoding);
  try {
    // Other code may have closed this descriptor, and its number may now be another file's.
    const { dev, ino } = fstatSync(pipe.fd);
    return dev === pipe.stat.dev && ino === pipe.stat.ino && bytes.length <= LINE && writeSync(pipe.fd, bytes) === bytes.length;
  } catch {
    return false;
  }
}

const CRC = new Int32Array(256).map((_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  return sum;
});

// crc32 returns the CRC-32 of bytes from start to end; zlib.crc32 needs Node.js 20.15.
function crc32(bytes, start, end) {
  let sum = -1;
  for (let i = start; i < end; i++) sum = (sum >>> 8) ^ CRC[(sum ^ bytes[i]) & 0xff];
  return ~sum >>> 0;
}

// current returns the event that the function handles, as docs/loopback.md describes it; {} if it is ambiguous or unknown.
// It reads a file, because headers must be set before the call returns and so no response can be awaited. The extension
// overwrites the file in place; a checksum at its start detects a partial write.
function current() {
  try {
    let text;
    for (let tries = 0; tries < 100 && text === undefined; tries++) {
      const bytes = read('current');
      if (bytes.length === 0) return {}; // no event has been handled yet
      const end = bytes.indexOf(10, 9);
      if (end < 0) continue; // the extension is writing it
      if (crc32(bytes, 9, end) === parseInt(bytes.toString('latin1', 0, 8), 16)) text = bytes.toString('utf8', 9, end);
    }
    const list = JSON.parse(text);
    if (list.length === 1) return list[0];
    const trace = process.env._X_AMZN_TRACE_ID;
    const fitting = list.filter((c) => trace && c.trace === trace);
    return fitting.length === 1 ? fitting[0] : {};
  } catch {
    return {};
  }
}

module.exports = { current, read, write };
