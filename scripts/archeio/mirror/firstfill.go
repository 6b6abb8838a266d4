package mirror

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/lambda/copier"
	"archeio/scripts/archeio/capacity"
	"archeio/scripts/archeio/cli"
)

// Values of a stage that has no others: fill.rate and fill.workers.
const defaultRate, defaultWorkers = 20, 4

// readsPerBlob is how many requests to the primary and the state read something when a
// blob is copied to the primary, and again when it is copied to replicas.
const readsPerBlob = 3

// fillOptions are the flags of what limits the functions that fill the mirrors.
type fillOptions struct {
	rate      float64
	workers   int
	bandwidth bandwidth
	// images, blobs and bytes stand for a source that is not read.
	images, blobs int64
	bytes         byteCount
}

func (o *fillOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.Float64Var(&o.rate, "fill-rate", defaultRate, "`N` requests per second of all workers to the registry, as fill.rate of a stage")
	f.IntVar(&o.workers, "fill-workers", defaultWorkers, "`N` workers that copy at the same time, as fill.workers of a stage")
	f.Var(&o.bandwidth, "fill-bandwidth", fmt.Sprintf("`BYTES` bytes per second that one worker copies, for example 50M (default %gM)", copier.WorkerRate/1e6))
	f.Int64Var(&o.images, "images", 0, "`N` manifests of a source that is not read; requires -blobs and -bytes")
	f.Int64Var(&o.blobs, "blobs", 0, "`N` blobs of a source that is not read")
	f.Var(&o.bytes, "bytes", "`BYTES` size of all blobs of a source that is not read, as 33T")
}

// limitAs sets the limits to those of a stage, unless flags have others.
func (o *fillOptions) limitAs(c *cobra.Command, f *stage.Filler) {
	if !c.Flags().Changed("fill-rate") {
		o.rate = f.Rate
	}
	if !c.Flags().Changed("fill-workers") {
		o.workers = f.Workers
	}
}

// assumed reports whether the source is not read.
func (o *fillOptions) assumed() bool { return o.images > 0 || o.blobs > 0 || o.bytes > 0 }

func (o *fillOptions) check() error {
	switch {
	case !(o.rate > 0):
		return cli.Usagef("-fill-rate %g: want a number of requests per second above 0", o.rate)
	case o.workers < 1:
		return cli.Usagef("-fill-workers %d: want a number from 1 on", o.workers)
	case o.images < 0 || o.blobs < 0:
		return cli.Usagef("-images %d, -blobs %d: want numbers above 0", o.images, o.blobs)
	case o.assumed() && (o.images == 0 || o.blobs == 0 || o.bytes == 0):
		return cli.Usagef("-images, -blobs and -bytes have no effect without each other")
	}
	return nil
}

// workerRate returns how many bytes one worker copies per second.
func (o *fillOptions) workerRate() float64 {
	if o.bandwidth > 0 {
		return float64(o.bandwidth)
	}
	return copier.WorkerRate
}

// fillReport is what it takes to fill the mirrors for the first time by functions.
type fillReport struct {
	// Requests are those to the source, Blobs and Bytes what is copied from it.
	Requests int64 `json:"requests"`
	Blobs    int64 `json:"blobs"`
	Bytes    int64 `json:"bytes"`
	// RequestRate and ByteRate are the limits per second. RequestSeconds and ByteSeconds
	// are the times by each of them; the fill takes the longer one.
	RequestRate    float64    `json:"requestRate"`
	RequestSeconds float64    `json:"requestSeconds"`
	ByteRate       float64    `json:"byteRate"`
	ByteSeconds    float64    `json:"byteSeconds"`
	Seconds        float64    `json:"seconds"`
	Costs          []fillCost `json:"costs"`
	Dollars        float64    `json:"dollars"`
	// Unpriced are regions whose prices are not known; those of us-east-1 count there.
	Unpriced []string `json:"unpriced,omitempty"`

	workers int
}

type fillCost struct {
	Service string  `json:"service"`
	Price   string  `json:"price"`
	Units   float64 `json:"units"`
	Unit    string  `json:"unit"`
	Dollars float64 `json:"dollars"`
}

// missingIn is what is missing from the bucket of a mirror.
type missingIn struct {
	region       string
	blobs, bytes int64
}

// newFillReport computes the first fill of buckets, the primary first. manifests is how
// many the source has; with referrers each costs two requests.
func newFillReport(o *fillOptions, manifests int64, referrers bool, missing []missingIn) *fillReport {
	primary := missing[0]
	r := &fillReport{Blobs: primary.blobs, Bytes: primary.bytes, RequestRate: o.rate, ByteRate: float64(o.workers) * o.workerRate(), workers: o.workers}
	// A tag or digest and its manifest, its referrers, and each blob.
	r.Requests = manifests + primary.blobs
	if referrers {
		r.Requests += manifests
	}
	r.RequestSeconds, r.ByteSeconds = float64(r.Requests)/r.RequestRate, float64(r.Bytes)/r.ByteRate
	r.Seconds = max(r.RequestSeconds, r.ByteSeconds)
	const gib = 1 << 30
	r.add(&capacity.UpstreamOut, float64(primary.bytes)/gib, 1)
	for i, m := range missing {
		writes, known := capacity.S3Writes.In(m.region)
		if !known && !slices.Contains(r.Unpriced, m.region) {
			r.Unpriced = append(r.Unpriced, m.region)
		}
		r.add(&capacity.S3Writes, float64(m.blobs), writes)
		if i > 0 && m.region != primary.region {
			transfer, _ := capacity.ToRegion.In(primary.region)
			r.add(&capacity.ToRegion, float64(m.bytes)/gib, transfer)
		}
	}
	// Before each blob is copied to the primary, and to all replicas, one HEAD; the list of
	// withdrawn blobs is read before and after (TestRequestsPerBlob in lambda/copier).
	reads, copies := readsPerBlob*primary.blobs, int64(0)
	for _, m := range missing[1:] {
		copies = max(copies, m.blobs)
	}
	ratio, _ := capacity.S3Reads.In(primary.region)
	r.add(&capacity.S3Reads, float64(reads+readsPerBlob*copies), ratio)
	// All workers are busy, or wait for the rate.
	r.add(&capacity.LambdaDuration, r.Seconds*float64(o.workers)*stage.FillerMemory/1024, 1)
	for _, c := range r.Costs {
		r.Dollars += c.Dollars
	}
	return r
}

// add adds units to the cost of a price, which is ratio times the list's.
func (r *fillReport) add(p *capacity.Price, units, ratio float64) {
	dollars := p.Cost(units, false) * ratio
	for i := range r.Costs {
		if c := &r.Costs[i]; c.Service == p.Service && c.Price == p.Name {
			c.Units += units
			c.Dollars += dollars
			return
		}
	}
	r.Costs = append(r.Costs, fillCost{p.Service, p.Name, units, p.Unit, dollars})
}

// complete implements output.
func (r *fillReport) complete() bool { return true }

func (r *fillReport) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "FIRST FILL BY FUNCTIONS\tAMOUNT\tLIMIT\tTIME\n")
	fmt.Fprintf(t, "requests to the source\t%s\t%g a second\t%s\n", cli.Grouped(float64(r.Requests)), r.RequestRate, duration(r.RequestSeconds))
	fmt.Fprintf(t, "bytes by %s\t%s\t%s a second\t%s\n", count(r.workers, "worker", "workers"), size(r.Bytes), size(int64(r.ByteRate)), duration(r.ByteSeconds))
	if err := t.Flush(); err != nil {
		return err
	}
	switch {
	case r.Blobs == 0:
		fmt.Fprintln(w, "nothing is missing from the primary")
	case r.RequestSeconds >= r.ByteSeconds:
		fmt.Fprintf(w, "it takes about %s, limited by the requests: raise fill.rate if the source allows it\n", duration(r.Seconds))
	default:
		fmt.Fprintf(w, "it takes about %s, limited by the bytes: raise fill.workers\n", duration(r.Seconds))
	}
	fmt.Fprintf(t, "\nCOST, ONCE\tUNITS\tDOLLARS\n")
	for _, c := range r.Costs {
		fmt.Fprintf(t, "%s, %s\t%s %s\t%.2f\n", c.Service, c.Price, cli.Grouped(math.Ceil(c.Units)), c.Unit, c.Dollars)
	}
	fmt.Fprintf(t, "list prices of %s\t\t%.2f\n", capacity.PricesDate, r.Dollars)
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Unpriced) > 0 {
		fmt.Fprintf(w, "at the prices of us-east-1, because those of %s are unknown\n", strings.Join(r.Unpriced, ", "))
	}
	return nil
}

func duration(seconds float64) string {
	switch d := time.Duration(min(seconds, 1e9) * float64(time.Second)); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= time.Minute:
		return count(int(math.Ceil(d.Minutes())), "minute", "minutes")
	default:
		return count(int(math.Ceil(d.Seconds())), "second", "seconds")
	}
}

// byteCount is a flag in bytes, as 500M or 33T; 0 is unset.
type byteCount float64

// String returns nothing: the default is none.
func (b *byteCount) String() string { return "" }

// Type returns the kind of the flag.
func (b *byteCount) Type() string { return "bytes" }

// Set parses the value of the flag.
func (b *byteCount) Set(v string) error {
	digits := strings.TrimRight(v, "kMGTP")
	factor, known := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[v[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n > 0) || !known || n*factor > 1e18 { // NaN is a number to ParseFloat
		return errors.New("want bytes, as 500M, 33T or 1P")
	}
	*b = byteCount(n * factor)
	return nil
}
