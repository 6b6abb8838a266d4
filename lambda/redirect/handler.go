package redirect

import (
	"context"
	"log/slog"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/route"
	"archeio/ranges"
)

// How long an answer may be kept by caches, by what it depends on.
const (
	cacheHour    = "public, max-age=3600"
	cacheMinutes = "public, max-age=300" // the same for everybody
	cacheRefusal = "public, max-age=60"
	cacheNothing = "private, no-store" // depends on who asks
	cacheUnsure  = "no-store"          // made while the upstream could not be asked
)

// Handler answers requests. It is safe for concurrent use.
type Handler struct {
	config   *config.Config
	plan     *route.Planner
	origins  Origins
	metrics  *metrics.Recorder
	log      *slog.Logger
	failover bucket
	now      func() time.Time

	upstream, signatures string // base URLs with "/v2/" at the end
	prefix               string // of repositories in them; with a slash at the end, or empty
	mirrors              []string
	defaultMirror        string
}

// Origin answers whether something is there; *blobs.Origin is one.
type Origin interface {
	Has(ctx context.Context, limit *blobs.Limit, path string) blobs.Answer
}

// Origins are the servers that may be asked. Mirrors stand as in
// config.Config.Mirrors.
type Origins struct {
	Mirrors  []Origin
	Default  Origin
	Upstream Origin
}

// blobPath comes between a mirror's base URL and a digest.
const blobPath = "/" + config.BlobPrefix

// Ask makes the origins of a configuration: what the checker is to ask, and
// how it reads the answers.
func Ask(c *config.Config, checker *blobs.Checker) Origins {
	var o Origins
	for _, m := range c.Mirrors {
		o.Mirrors = append(o.Mirrors, checker.Mirror(m.Region, m.URL+blobPath))
	}
	if c.DefaultMirror != "" {
		o.Default = checker.Mirror("default", c.DefaultMirrorCheck+blobPath)
	}
	if c.SignatureUpstream != "" {
		o.Upstream = checker.Origin("upstream", c.Upstream+"/v2/", blobs.Registry)
	}
	return o
}

// New makes a Handler. The recorder may be nil, and so may the logger.
func New(c *config.Config, origins Origins, recorder *metrics.Recorder, log *slog.Logger) *Handler {
	h := &Handler{
		config:        c,
		plan:          route.New(c),
		origins:       origins,
		metrics:       recorder,
		log:           log,
		now:           time.Now,
		upstream:      c.Upstream + "/v2/",
		signatures:    c.SignatureUpstream + "/v2/",
		defaultMirror: c.DefaultMirror + blobPath,
		failover:      bucket{rate: c.FailoverBudget},
	}
	if c.Prefix != "" {
		h.prefix = c.Prefix + "/"
	}
	if c.DefaultMirror == config.DistributionHost {
		h.defaultMirror = blobPath
	}
	for _, m := range c.Mirrors {
		h.mirrors = append(h.mirrors, m.URL+blobPath)
	}
	return h
}

// Handle answers one request and records it. It takes the request by value: what a
// pointer leads to would be made on the heap by a caller that does not know it.
func (h *Handler) Handle(ctx context.Context, r Request) Response {
	start := h.now()
	place, _ := ranges.Lookup(r.Client)
	path, resp := h.answer(ctx, &r, place)
	if r.Method == "HEAD" {
		resp.Body = ""
	}
	end := h.now()
	h.metrics.Request(path.Kind.String(), string(place.Cloud), resp.Reason, start, end)
	if !r.Client.IsValid() {
		h.metrics.UnknownClient()
	}
	if h.log != nil && h.log.Enabled(ctx, slog.LevelDebug) {
		h.log.LogAttrs(ctx, slog.LevelDebug, "decision",
			slog.Int("status", resp.Status),
			slog.String("kind", path.Kind.String()), slog.String("name", path.Name), slog.String("reference", path.Reference),
			slog.String("cloud", string(place.Cloud)), slog.String("region", place.Region), slog.String("country", r.Country),
			slog.String("reason", resp.Reason), slog.String("location", resp.Location), slog.Duration("took", end.Sub(start)))
	}
	return resp
}

func (h *Handler) answer(ctx context.Context, r *Request, place ranges.Place) (oci.Path, Response) {
	if r.Method != "GET" && r.Method != "HEAD" {
		resp := Refuse(oci.MethodNotAllowed(r.Method))
		resp.Allow = "GET, HEAD"
		return oci.Path{}, resp
	}
	if r.Malformed {
		return oci.Path{}, Refuse(oci.MalformedPath())
	}
	if !validQuery(r.Query) {
		return oci.Path{}, Refuse(oci.MalformedQuery())
	}
	path, err := oci.Parse(r.Path)
	if err != nil {
		return path, Refuse(err)
	}
	switch path.Kind {
	case oci.Ping:
		return path, Response{
			Status:       200,
			ContentType:  "application/json",
			APIVersion:   "registry/2.0",
			CacheControl: cacheHour,
			Reason:       route.Ping.String(),
			Body:         "{}",
		}
	case oci.Info:
		return path, h.page(h.config.InfoURL, route.Info, r.Path)
	case oci.Privacy:
		return path, h.page(h.config.PrivacyURL, route.Privacy, r.Path)
	}
	q := route.Request{
		Path:           path,
		Place:          place,
		Viewer:         r.Viewer,
		Positioned:     r.Positioned,
		Authorized:     r.Authorized,
		NoDistribution: r.NoDistribution,
	}
	return path, h.redirect(ctx, &q, r.Query)
}

func (h *Handler) page(url string, reason route.Reason, path string) Response {
	if url == "" {
		return Refuse(oci.NotFound(path))
	}
	return Response{Status: 302, Location: url, CacheControl: cacheHour, Reason: reason.String()}
}

// Refuse is the answer to a request that gets none.
func Refuse(err *oci.Error) Response {
	return Response{
		Status:       err.Status,
		ContentType:  "application/json",
		CacheControl: cacheRefusal,
		Reason:       route.Refused.String(),
		Body:         err.Body(),
	}
}
