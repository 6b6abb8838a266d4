// Package gateway stands between AWS and the redirector: it reads the events
// of every front that can call a Lambda function, and writes the answer in the
// shape that the front takes.
//
// Fronts are told apart by what is in the event, never by configuration:
//
//	ALB           a load balancer's target group; single or multi-value headers
//	function URL  payload 2.0, also what CloudFront uses
//	HTTP API      payload 2.0, with the path already decoded
//	REST API      payload 1.0
//	Lambda@Edge   Records[0].cf, viewer-request and origin-request
//
// What may be believed of an event depends on its front, and is decided here.
package gateway

import (
	"context"

	"archeio/lambda/redirect"
)

// Gateway is a lambda.Handler. It is safe for concurrent use.
type Gateway struct {
	decoder Decoder
	handle  func(context.Context, redirect.Request) redirect.Response
	after   func()
}

// New makes a Gateway. clientAddressHeader is the configured one, in lower
// case. after runs when an answer is made; it may be nil.
func New(clientAddressHeader string, handle func(context.Context, redirect.Request) redirect.Response, after func()) *Gateway {
	if after == nil {
		after = func() {}
	}
	return &Gateway{Decoder{ClientAddressHeader: clientAddressHeader}, handle, after}
}

// Invoke answers one event. Its error is an *EventError: the event is none
// that a front sends.
func (g *Gateway) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	r, shape, err := g.decoder.Decode(payload)
	if err != nil {
		return nil, err
	}
	resp := g.handle(ctx, r)
	g.after()
	return shape.Encode(&resp), nil
}
