package rls

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// healthName is what the reference service calls itself in gRPC's health check;
// the empty name answers too.
const healthName = "ratelimit"

func (s *Service) serving() {
	s.health.SetServingStatus(healthName, healthpb.HealthCheckResponse_SERVING)
}

// Serve answers on a listener until Shutdown, then returns nil: gRPC, and what
// does not begin as HTTP/2 with Handler. Options are added to those of the gRPC
// server; with any of them, such as credentials, it answers gRPC only.
func (s *Service) Serve(l net.Listener, options ...grpc.ServerOption) error {
	both := len(options) == 0
	options = append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.o.MaxMessage),
		grpc.MaxConcurrentStreams(1000),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	}, options...)
	v := &server{grpc: grpc.NewServer(options...)}
	pb.RegisterRateLimitServiceServer(v.grpc, s)
	healthpb.RegisterHealthServer(v.grpc, s.health)
	if both {
		v.http = &http.Server{
			Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0),
		}
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.servers = append(s.servers, v)
	s.mu.Unlock()
	return v.serve(l)
}

// server is what one Serve runs.
type server struct {
	grpc *grpc.Server
	http *http.Server // nil for gRPC only
}

func (v *server) serve(l net.Listener) error {
	if v.http == nil {
		return ended(v.grpc.Serve(l))
	}
	both := split(l)
	errs := make(chan error, 2)
	go func() { errs <- ended(v.http.Serve(both.rest)) }()
	go func() { errs <- ended(v.grpc.Serve(both.http2)) }()
	// Both servers close the listener when they are shut down, so this ends when
	// either does.
	err := ended(both.run())
	return errors.Join(err, <-errs, <-errs)
}

// ended leaves out the errors that say no more than that something was shut down.
func ended(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) || errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stop lets requests under way finish, until ctx ends.
func (v *server) stop(ctx context.Context) {
	if v.http != nil {
		// Subtle: first, since the gRPC server waits for its connections, and both
		// have one listener.
		if v.http.Shutdown(ctx) != nil {
			v.http.Close()
		}
	}
	v.grpc.GracefulStop()
}

// Shutdown says in the health check that the service is ending, lets requests
// under way finish, and ends every Serve. When ctx ends first, they are cut off.
func (s *Service) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.mu.Lock()
	servers := s.servers
	s.servers, s.stopping = nil, true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, v := range servers {
			v.stop(ctx)
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, v := range servers {
			v.grpc.Stop()
		}
		<-done
		return ctx.Err()
	}
}

// Handler answers over plain HTTP, for clients without gRPC: POST /json takes
// and gives the messages as JSON, with status 200, or 429 when over the limit;
// GET /healthcheck says OK.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /json", s.json)
	mux.HandleFunc("GET /healthcheck", func(w http.ResponseWriter, r *http.Request) {
		res, err := s.health.Check(r.Context(), &healthpb.HealthCheckRequest{Service: healthName})
		if err != nil || res.Status != healthpb.HealthCheckResponse_SERVING {
			http.Error(w, "ending", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "OK")
	})
	return mux
}

func (s *Service) json(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.o.MaxMessage)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the request could not be read", http.StatusBadRequest)
		return
	}
	var req pb.RateLimitRequest
	if err := (protojson.UnmarshalOptions{RecursionLimit: 50}).Unmarshal(body, &req); err != nil {
		http.Error(w, "not a RateLimitRequest in JSON: "+err.Error(), http.StatusBadRequest)
		return
	}
	res, err := s.ShouldRateLimit(r.Context(), &req)
	if err != nil {
		code := http.StatusBadRequest
		if c := status.Code(err); c == codes.DeadlineExceeded || c == codes.Canceled {
			code = http.StatusServiceUnavailable
		}
		http.Error(w, status.Convert(err).Message(), code)
		return
	}
	text, err := protojson.Marshal(res)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if res.OverallCode == over {
		w.WriteHeader(http.StatusTooManyRequests)
	}
	w.Write(text)
}
