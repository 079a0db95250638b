// Package otlp handles spans as the bytes of OpenTelemetry's protocol (OTLP
// 1.x): it encodes them, counts, searches and splits them, and posts them. It
// links neither an SDK nor generated message types, so that the extension in a
// Lambda layer stays small.
//
// [Append] encodes a span, [Exporter] posts requests, [WriteJSON] turns a
// request into a line of OTLP/JSON for a person or a file.
package otlp
