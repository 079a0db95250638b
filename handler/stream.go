package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	readerType  = reflect.TypeFor[io.Reader]()
	errorType   = reflect.TypeFor[error]()
)

// streaming returns a function that calls h if h returns a streamed response,
// and nil otherwise. Through lambda.Handler, such a response would be read
// completely before its first byte is sent.
func (w *wrapped) streaming(h any) func(context.Context, json.RawMessage) (any, error) {
	fn := reflect.ValueOf(h)
	if fn.Kind() != reflect.Func || fn.Type().IsVariadic() {
		return nil
	}
	t := fn.Type()
	withContext := t.NumIn() > 0 && t.In(0) == contextType
	events := t.NumIn()
	if withContext {
		events--
	}
	if t.NumOut() != 2 || !t.Out(0).Implements(readerType) || !t.Out(1).Implements(errorType) || events > 1 {
		return nil
	}
	call := func(ctx context.Context, payload []byte) (any, error) {
		payload, failed, err := w.restore(ctx, payload)
		if err == nil && len(failed) > 0 { // a streamed answer is no partial batch response
			err = failed[0].Err
		}
		if err != nil {
			return nil, err
		}
		var args []reflect.Value
		if withContext {
			args = append(args, reflect.ValueOf(ctx))
		}
		if events == 1 {
			event := reflect.New(t.In(t.NumIn() - 1))
			if err := json.NewDecoder(bytes.NewReader(payload)).Decode(event.Interface()); err != nil {
				return nil, err
			}
			args = append(args, event.Elem())
		}
		results := fn.Call(args)
		err, _ = results[1].Interface().(error)
		return results[0].Interface(), err
	}
	return func(ctx context.Context, payload json.RawMessage) (any, error) { return w.stream(ctx, payload, call) }
}

func (w *wrapped) stream(ctx context.Context, payload []byte, call func(context.Context, []byte) (any, error)) (answer any, err error) {
	i := w.begin(ctx, payload)
	if i == nil {
		return call(ctx, payload)
	}
	streams := false
	defer func() {
		if reason := recover(); reason != nil {
			i.end(nil, fmt.Errorf("panic: %v", reason))
			panic(reason) // from here the handler's own frames are still on the stack
		}
		if !streams {
			i.end(nil, err)
		}
	}()
	answer, err = call(i.Context, payload)
	reader, ok := answer.(io.Reader)
	if err != nil || !ok {
		return answer, err
	}
	// aws-lambda-go sends a reader that marshals to JSON as JSON.
	if form, unmarshalable := json.Marshal(answer); unmarshalable == nil && !bytes.HasPrefix(form, []byte("{}")) {
		return answer, nil
	}
	streams = true
	s := &stream{Reader: reader, invocation: i}
	if typed, ok := reader.(contentTyped); ok {
		return &typedStream{stream: s, typed: typed}, nil
	}
	return s, nil
}

// contentTyped is aws-lambda-go's interface for the content type of a streamed
// response.
type contentTyped interface{ ContentType() string }

// stream is a response that is being sent. The invocation ends when it is
// closed, which aws-lambda-go does after the last byte.
type stream struct {
	io.Reader  `json:"-"`
	invocation *invocation
	once       sync.Once
	err        error
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *stream) Close() error {
	var err error
	if c, ok := s.Reader.(io.Closer); ok {
		err = c.Close()
	}
	s.once.Do(func() { s.invocation.end(nil, s.err) })
	return err
}

type typedStream struct {
	*stream `json:"-"`
	typed   contentTyped
}

func (s *typedStream) ContentType() string { return s.typed.ContentType() }
