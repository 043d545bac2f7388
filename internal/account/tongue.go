package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
)

// CloudWatch makes a client. AWS speaks three protocols, and the SDK the newest. At
// an address that is not AWS's own the older ones are tried when the first answer
// shows that the newest is not understood: moto and many stand-ins lack it.
func CloudWatch(cfg aws.Config) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) {
		if o.BaseEndpoint == nil {
			return
		}
		t := newTongue()
		o.Protocol = t
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("weir:tongue", t.call), middleware.Before)
		})
	})
}

// tongue is a protocol that becomes one of several with the first answer.
type tongue struct {
	smithyhttp.ClientProtocol // the newest, for what no call here needs
	list                      [3]smithyhttp.ClientProtocol
	use                       atomic.Int32
	settled                   atomic.Bool // an answer was understood
}

func newTongue() *tongue {
	t := &tongue{list: [3]smithyhttp.ClientProtocol{
		rpcv2.NewCBOR(schemas.GraniteServiceVersion20100801),
		awsjson.New10(schemas.GraniteServiceVersion20100801),
		awsquery.New(schemas.GraniteServiceVersion20100801),
	}}
	t.ClientProtocol = t.list[0]
	return t
}

type tongueKey struct{}

// chosen is the protocol of one attempt.
func (t *tongue) chosen(ctx context.Context) int {
	i, _ := ctx.Value(tongueKey{}).(int)
	return i
}

// call makes a call, again in the next protocol while none is understood.
func (t *tongue) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	for i := int(t.use.Load()); ; i++ {
		out, meta, err := next.HandleInitialize(context.WithValue(ctx, tongueKey{}, i), in)
		if err == nil || i+1 == len(t.list) || !another(err) {
			return out, meta, err
		}
	}
}

// SerializeRequest writes a request in the protocol of this attempt.
func (t *tongue) SerializeRequest(ctx context.Context, op *smithy.OperationSchema, in smithy.Serializable, r *smithyhttp.Request) error {
	return t.list[t.chosen(ctx)].SerializeRequest(ctx, op, in, r)
}

// DeserializeResponse reads the answer to it, or says that it is in no language of CloudWatch.
func (t *tongue) DeserializeResponse(ctx context.Context, op *smithy.OperationSchema, types *smithy.TypeRegistry, r *smithyhttp.Response, out smithy.Deserializable) error {
	i := t.chosen(ctx)
	if !t.settled.Load() && !inWords(i, r) {
		switch {
		case misunderstood(r.StatusCode), i == 1 && inWords(2, r):
			return &Foreign{Status: r.StatusCode, again: true}
		case r.StatusCode < 300:
			return &Foreign{Status: r.StatusCode} // not again: it may have done what was asked
		}
	}
	if r.StatusCode < 500 && !t.settled.Swap(true) {
		t.use.Store(int32(i))
	}
	return t.list[i].DeserializeResponse(ctx, op, types, r, out)
}

// misunderstood says whether a status may be that of a server that does not know a protocol.
func misunderstood(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUnsupportedMediaType, http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	return false
}

// inWords says whether an answer is in the words of protocol i.
func inWords(i int, r *smithyhttp.Response) bool {
	kind, aws := strings.ToLower(r.Header.Get("Content-Type")), r.StatusCode < 300 && r.Header.Get("X-Amzn-Requestid") != ""
	switch i {
	case 0:
		return r.Header.Get("Smithy-Protocol") != ""
	case 1:
		// moto says "text" of its JSON, and moto before 5.1 "html" of the XML that it answers to everything.
		return strings.Contains(kind, "json") || aws && !strings.Contains(kind, "ml")
	}
	return strings.Contains(kind, "xml") || aws && strings.Contains(kind, "html")
}

// Foreign is an answer that is in none of CloudWatch's protocols.
type Foreign struct {
	Status int
	again  bool // in another protocol
}

// Error says so.
func (f *Foreign) Error() string {
	return fmt.Sprintf("it answered %d %s, and not as CloudWatch does: is the address right?", f.Status, http.StatusText(f.Status))
}

// another says whether a call may be made again in another protocol.
func another(err error) bool {
	var f *Foreign
	return errors.As(err, &f) && f.again
}
