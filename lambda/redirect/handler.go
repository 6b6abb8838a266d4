package redirect

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/bucket"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/page"
	"archeio/lambda/route"
	"archeio/ranges"
)

// The values of Cache-Control.
const (
	cacheHour    = "public, max-age=3600" // depends on the configuration only
	cacheMinutes = "public, max-age=300"  // the same for all clients
	cacheError   = "public, max-age=60"
	cacheNothing = "private, no-store" // depends on the client
	cacheUnsure  = "no-store"          // the upstream does not have it yet, or could not be checked
)

// Handler handles requests. It is safe for concurrent use.
type Handler struct {
	config   *config.Config
	plan     *route.Planner
	ranges   ranges.Current
	origins  Origins
	metrics  *metrics.Recorder
	log      *slog.Logger
	failover bucket.Bucket
	now      func() time.Time

	upstream, signatures string // base URLs, up to and including "/v2/"
	prefix               string // of repository names there, with a trailing slash, or empty
	mirrors              []string
	defaultMirror        string

	pages *page.Pages
	// supposed returns a handler for which every origin has everything.
	supposed func() *Handler
}

// Origin is a server whose content can be checked; *blobs.Origin implements it.
type Origin interface {
	// Has returns whether the content at a path exists. All checks of a request
	// share a limit.
	Has(ctx context.Context, limit *blobs.Limit, path string) blobs.Answer
}

// Origins are the servers that are checked. Mirrors are in the order of
// config.Config.Mirrors. Default and Upstream may be nil if they are not used.
type Origins struct {
	Mirrors  []Origin
	Default  Origin
	Upstream Origin
	// Relay is set if config.Config.Relays; Upstream is not used then.
	Relay Relay
}

// blobPath is the path between a mirror's base URL and a digest.
const blobPath = "/" + config.BlobPrefix

// NewOrigins returns the origins of a configuration, checked by checker. Default is
// nil without a default mirror, Upstream without a signature upstream.
func NewOrigins(c *config.Config, checker *blobs.Checker) Origins {
	var o Origins
	defaultRegion := "" // of the mirror whose bucket is checked for the default mirror
	for _, m := range c.Mirrors {
		o.Mirrors = append(o.Mirrors, checker.Mirror(m.Region, m.URL+blobPath, m.Region))
		if m.URL == c.DefaultMirrorCheck {
			defaultRegion = m.Region
		}
	}
	if c.DefaultMirror != "" {
		o.Default = checker.Mirror("default", c.DefaultMirrorCheck+blobPath, defaultRegion)
	}
	if c.SignatureUpstream != "" && !c.Relays() {
		o.Upstream = checker.Origin("upstream", c.Upstream+"/v2/", blobs.Registry)
	}
	return o
}

// New returns a Handler. The recorder and the logger may be nil.
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
		failover:      bucket.Bucket{Rate: c.FailoverBudget},
		pages:         page.New(c),
	}
	h.supposed = sync.OnceValue(h.suppose)
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

// Ranges returns the range table that the places of clients are looked up in. It is
// the embedded one until it is replaced.
func (h *Handler) Ranges() *ranges.Current { return &h.ranges }

// Handle handles one request and records it in metrics and the debug log, without
// the client address. The request is passed by value: callers call Handle through
// a function value, where a pointer would move the request to the heap.
func (h *Handler) Handle(ctx context.Context, r Request) Response {
	start := h.now()
	place, _ := h.ranges.Lookup(r.Client)
	path, resp := h.respond(ctx, &r, place)
	if r.Method == "HEAD" && !resp.lengthFromBody() {
		resp.Body = ""
	}
	end := h.now()
	h.metrics.Request(path.Kind.String(), string(place.Cloud), resp.Reason, start, end)
	if !r.Client.IsValid() {
		h.metrics.UnknownClient()
	}
	if (path.Kind == oci.Blob || path.Kind == oci.Manifest) && resp.Status < 400 && r.Method == "GET" {
		h.metrics.Image(h.repository(path, r.Query), string(place.Cloud), place.Region)
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

// respond returns the response to a request, and the parsed path for the record.
func (h *Handler) respond(ctx context.Context, r *Request, place ranges.Place) (oci.Path, Response) {
	if r.Method != "GET" && r.Method != "HEAD" {
		resp := Refuse(oci.MethodNotAllowed(r.Method))
		resp.Allow = "GET, HEAD"
		return oci.Path{}, resp
	}
	if r.Malformed {
		return oci.Path{}, Refuse(oci.MalformedPath())
	}
	if !oci.ValidQuery(r.Query) {
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
		return path, h.info(r)
	case oci.Privacy:
		return path, h.privacy()
	case oci.Where:
		return path, h.where(ctx, r, place)
	case oci.Hosts:
		return path, document(h.pages.Hosts(h.viewerHost(r)), cacheHour)
	}
	if len(h.prefixOf(path, r.Query))+len(path.Name) > oci.MaxName {
		return path, Refuse(oci.NameTooLong(path.Name))
	}
	q := route.Request{
		Path:           path,
		Place:          place,
		Viewer:         r.Viewer,
		Positioned:     r.Positioned,
		Authorized:     r.Authorized,
		NoDistribution: r.NoDistribution,
	}
	return path, h.redirect(ctx, r, &q)
}

// Refuse returns the error response to a request that cannot be served.
func Refuse(err *oci.Error) Response {
	return Response{
		Status:       err.Status,
		ContentType:  "application/json",
		CacheControl: cacheError,
		Reason:       route.Refused.String(),
		Body:         err.Body(),
	}
}
