'use strict';
// In this file and its users, bytes are a latin1 string with one character for each byte: short strings are cheaper than
// buffers, and SDKs mostly send and receive text. Large data is a Buffer.

// Response reads one HTTP/1.1 response from the bytes of a connection. It reads at most limit bytes.
class Response {
  constructor(limit) {
    this.limit = limit;
    this.bytes = ''; // received and not read yet
    this.started = false; // whether anything arrived
    this.status = 0;
    this.head = ''; // the status line and the header fields
    this.lower = '';
    this.body = null; // bytes; set when the response is complete
  }

  // header returns a header's value by its lower-case name, '' if there is none.
  header(name) {
    const field = `\r\n${name}:`;
    const at = this.lower.indexOf(field);
    if (at < 0) return '';
    const end = this.lower.indexOf('\r\n', at + 2);
    return this.head.slice(at + field.length, end < 0 ? undefined : end).trim();
  }

  // take adds bytes. It returns true when no more will be read: the response is complete, or body remains null.
  take(bytes) {
    this.started = true;
    this.bytes += bytes;
    if (this.bytes.length > this.limit) return true;
    while (this.status === 0) {
      const end = this.bytes.indexOf('\r\n\r\n');
      if (end < 0) return false;
      const head = this.bytes.slice(0, end);
      this.bytes = this.bytes.slice(end + 4);
      const status = head.startsWith('HTTP/1.') ? Number(head.slice(9, 12)) : NaN;
      if (!(status >= 100)) return true;
      if (status < 200 && status !== 101) continue; // an interim response
      this.status = status;
      this.head = head;
      this.lower = head.toLowerCase();
    }
    return this.readBody();
  }

  readBody() {
    const { bytes, status } = this;
    if (this.header('transfer-encoding').toLowerCase() === 'chunked') {
      if (!bytes.endsWith('0\r\n\r\n')) return false;
      this.body = dechunk(bytes);
      return this.body !== null;
    }
    const bodiless = status === 101 || status === 204 || status === 304;
    const length = bodiless ? 0 : parseInt(this.header('content-length'), 10);
    if (Number.isNaN(length)) return true; // it ends with the connection
    if (bytes.length < length) return false;
    this.body = bytes.slice(0, length);
    return true;
  }
}

// dechunk returns the body of a chunked message, or null if the message is incomplete or has trailers.
function dechunk(coded) {
  const bytes = coded.toString('latin1');
  const parts = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n', at);
    const size = end < 0 ? NaN : parseInt(bytes.slice(at, end), 16);
    if (!(size >= 0)) return null;
    if (size === 0) return bytes.length === end + 4 ? parts.join('') : null;
    at = end + 2 + size + 2;
    if (at > bytes.length) return null;
    parts.push(bytes.slice(end + 2, end + 2 + size));
  }
}

const MANY = 16 << 10;

// bytesOf returns the bytes of a string in an encoding, utf8 by default, or a copy of an array of bytes.
function bytesOf(data, encoding) {
  const text = typeof data === 'string';
  if (data.length >= MANY) return text ? Buffer.from(data, encoding || 'utf8') : Buffer.from(data);
  if (!text) return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
  const plain = !encoding || /^utf-?8$/i.test(encoding);
  if (plain && Buffer.byteLength(data) === data.length) return data; // ASCII
  return Buffer.from(data, encoding).toString('latin1');
}

// joined concatenates the bytes of several pieces.
function joined(pieces) {
  if (pieces.length === 1) return pieces[0];
  if (pieces.every((bytes) => typeof bytes === 'string')) return pieces.join('');
  return Buffer.concat(pieces.map((bytes) => (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)));
}

module.exports = { Response, bytesOf, dechunk, joined };
