package gateway

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// event is what is read of an event, of whatever front: only what is needed.
// Fields of type []byte are JSON strings without their quotes, as they stand
// in the payload.
type event struct {
	httpMethod []byte
	path       []byte
	rawPath    []byte
	rawQuery   []byte

	context    bool // requestContext
	elb        bool
	http       bool // requestContext.http, of payload 2.0
	method2    []byte
	sourceIP   []byte // requestContext.http.sourceIp, or .identity.sourceIp
	domainName []byte

	single, multi           headers
	hasMulti                bool
	singleQuery, multiQuery jsontext.Value

	records bool
	cf      bool
	cfType  []byte
}

// headers are the few that matter.
type headers struct {
	forwardedFor     field
	clientAddress    field
	authorization    field
	viewerAuthorized field
	latitude         field
	longitude        field
	country          field
}

// field is a header. Where it has several values the last one is kept.
type field struct {
	set bool
	// differing: the values are not all the same. twice: the name stands
	// there twice, in different spelling, with values that are not the same.
	differing, twice bool
	value            []byte
}

func (f *field) add(value []byte) {
	f.differing = f.differing || f.set && !bytes.Equal(f.value, value)
	f.set, f.value = true, value
}

// merge takes over the values that stand under one spelling of the name.
func (f *field) merge(g field) {
	switch {
	case !g.set:
	case !f.set:
		*f = g
	default:
		f.add(g.value)
		f.differing = f.differing || g.differing
		f.twice = f.differing
	}
}

// reader is what reading one event needs, kept for the next one.
type reader struct {
	payload []byte
	buffer  bytes.Buffer
	decoder jsontext.Decoder
	event   event
	// wanted is the configured client address header.
	wanted string
}

var readers = sync.Pool{New: func() any { return new(reader) }}

var (
	errTrailing = errors.New("data behind the event")
	errType     = errors.New("a member has another type")
)

// read takes the payload apart. It keeps no part of it beyond the use of
// r.event.
func (r *reader) read(payload []byte) error {
	r.event, r.payload = event{}, payload
	r.buffer = *bytes.NewBuffer(payload)
	// Names twice in an object are the front's business, and bytes that are
	// not UTF-8 are refused where they matter.
	r.decoder.Reset(&r.buffer, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if r.decoder.PeekKind() == 'n' {
		return errType // no event is null
	}
	if err := r.object(r.topLevel); err != nil {
		return err
	}
	if _, err := r.decoder.ReadToken(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// object goes through the members of an object. visit must read the value,
// or answer false to have it skipped. null is an object without members.
func (r *reader) object(visit func(name []byte) (bool, error)) error {
	if r.decoder.PeekKind() == 'n' {
		return r.decoder.SkipValue()
	}
	if err := r.enter('{'); err != nil {
		return err
	}
	for r.decoder.PeekKind() == '"' {
		name, err := r.value()
		if err != nil {
			return err
		}
		read, err := visit(unquoted(name))
		if err == nil && !read {
			err = r.decoder.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

// array goes through the elements of an array. visit must read the element.
func (r *reader) array(visit func(i int) error) error {
	if r.decoder.PeekKind() == 'n' {
		return r.decoder.SkipValue()
	}
	if err := r.enter('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		switch r.decoder.PeekKind() {
		case ']':
			_, err := r.decoder.ReadToken()
			return err
		case 0:
			_, err := r.decoder.ReadToken()
			return err
		}
		if err := visit(i); err != nil {
			return err
		}
	}
}

func (r *reader) enter(kind jsontext.Kind) error {
	token, err := r.decoder.ReadToken()
	if err == nil && token.Kind() != kind {
		err = errType
	}
	return err
}

// value reads a value as a part of the payload. What the decoder answers is
// only good until it is used again.
func (r *reader) value() (jsontext.Value, error) {
	v, err := r.decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(r.decoder.InputOffset())
	return r.payload[end-len(v) : end], nil
}

// text reads a string, as it stands there; nil for null.
func (r *reader) text(into *[]byte) (bool, error) {
	v, err := r.value()
	switch {
	case err != nil:
		return true, err
	case v.Kind() == 'n':
		*into = nil
	case v.Kind() != '"':
		return true, errType
	default:
		*into = unquoted(v)
	}
	return true, nil
}

// unquoted answers the text of a JSON string: a part of it, unless it has
// escapes.
func unquoted(v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	out, _ := jsontext.AppendUnquote(nil, v) // invalid UTF-8 is replaced
	return out
}
