package mirror

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/scripts/archeio/cli"
)

func whereCommand() *cobra.Command {
	var o options
	var w where
	c := &cobra.Command{
		Use:   "where [flags] -bucket NAME[@REGION] ... DIGEST|IMAGE\n  archeio mirror where [flags] -stage NAME DIGEST|IMAGE",
		Short: "show which mirrors have a blob or an image",
		Long: "Checks every mirror for a blob, or for the blobs of an image of all platforms, and\n" +
			"shows which of them it has since when, which it is missing, and what is withdrawn\n" +
			"according to the state. The exit code is 1 if a mirror is missing a blob that is not\n" +
			"withdrawn, or could not be checked.",
		Example: cli.Example(
			"archeio mirror where -stage production sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"archeio mirror where -bucket my-primary@us-east-1 -state s3://my-state us-docker.pkg.dev/example-project/images/app:v1"),
		Args: cli.OneArg("DIGEST or IMAGE"),
	}
	o.bucketFlag(c)
	o.stateFlag(c)
	s := o.stageFlags(c)
	o.jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := w.parse(args[0]); err != nil {
			return err
		}
		return o.runStage(c, s, w.run)
	}
	return c
}

// where is what to look for: a digest, or an image.
type where struct {
	digest string
	image  name.Reference // nil for a digest
}

func (w *where) parse(arg string) (err error) {
	if _, ok := copier.ParseDigest(arg); ok {
		w.digest = arg
		return nil
	}
	if !strings.Contains(arg, "/") {
		return cli.Usagef("invalid argument %q: want sha256: and 64 lower-case hexadecimal digits, or REGISTRY/REPOSITORY:TAG", arg)
	}
	if w.image, err = name.ParseReference(arg); err != nil {
		return cli.Usagef("invalid image %q: want REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST", arg)
	}
	return nil
}

func (w *where) run(ctx context.Context, m *mirrors) (output, error) {
	r := &whereReport{Digest: w.digest, Withdrawn: []copier.Withdrawal{}}
	sizes := map[string]int64{w.digest: registry.SizeUnknown}
	digests := []string{w.digest}
	if w.image != nil {
		blobs, err := w.blobs(ctx, m, r)
		if err != nil {
			return nil, err
		}
		digests = nil
		for _, b := range blobs {
			digests = append(digests, b.Digest)
			sizes[b.Digest] = b.Size
		}
		slices.Sort(digests)
	}
	withdrawn := map[string]bool{}
	for _, digest := range digests {
		found, err := copier.FindWithdrawal(ctx, m.state, digest)
		if err != nil {
			return nil, err
		}
		if found != nil {
			withdrawn[digest] = true
			r.Withdrawn = append(r.Withdrawn, *found)
		}
	}
	there, err := copier.Where(ctx, m.options.Buckets, digests)
	if err != nil {
		return nil, err
	}
	r.Blobs = len(digests)
	for i, b := range m.options.Buckets {
		row := placeReport{Name: b.Name, Missing: []string{}, Errors: []string{}}
		for n, x := range there[i] {
			switch {
			case x.Err != nil:
				row.Errors = append(row.Errors, x.Err.Error())
			case x.Has:
				row.Has++
				row.Bytes += x.Size
				if x.Since.After(row.Since) {
					row.Since = x.Since
				}
			case !withdrawn[digests[n]]:
				row.Missing = append(row.Missing, digests[n])
			}
			if x.Has && withdrawn[digests[n]] {
				row.Withdrawn++
			}
		}
		r.Mirrors = append(r.Mirrors, row)
	}
	return r, nil
}

// blobs returns the blobs of the image.
func (w *where) blobs(ctx context.Context, m *mirrors, r *whereReport) ([]registry.Blob, error) {
	source, err := registry.New(w.image.Context().RegistryStr(), registry.Options{Notify: m.progress.note})
	if err != nil {
		return nil, err
	}
	image := registry.Entry{Tag: w.image.Identifier()}
	if _, isDigest := w.image.(name.Digest); isDigest {
		image = registry.Entry{Digest: w.image.Identifier()}
	}
	r.Image = w.image.String()
	blobs, manifests, err := copier.ImageBlobs(ctx, copier.Options{Source: source}, w.image.Context().RepositoryStr(), image)
	r.Manifests = manifests
	return blobs, err
}

// whereReport is the output of where.
type whereReport struct {
	Digest string `json:"digest,omitempty"`
	Image  string `json:"image,omitempty"`
	// Manifests and Blobs count those of the image.
	Manifests int           `json:"manifests,omitempty"`
	Blobs     int           `json:"blobs"`
	Mirrors   []placeReport `json:"mirrors"`
	// Withdrawn are the withdrawn blobs among them.
	Withdrawn []copier.Withdrawal `json:"withdrawn"`
}

// placeReport is what one mirror has.
type placeReport struct {
	Name  string `json:"name"`
	Has   int    `json:"has"`
	Bytes int64  `json:"bytes"`
	// Since is the time at which the latest of its blobs was written.
	Since time.Time `json:"since,omitzero"`
	// Missing are blobs that are not withdrawn.
	Missing []string `json:"missing"`
	// Withdrawn counts the withdrawn blobs that are still there.
	Withdrawn int `json:"withdrawn,omitempty"`
	// Errors are the reasons why blobs could not be checked.
	Errors []string `json:"errors"`
}

func (r *whereReport) complete() bool {
	return !slices.ContainsFunc(r.Mirrors, func(p placeReport) bool { return len(p.Missing)+len(p.Errors)+p.Withdrawn > 0 })
}

func (r *whereReport) writeText(w io.Writer) error {
	if r.Image != "" {
		fmt.Fprintf(w, "%s: %s, %s\n\n", cli.Printable(r.Image), count(r.Manifests, "manifest", "manifests"), blobCount(r.Blobs))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "MIRROR\tHAS\tMISSING\tSIZE\tSINCE\n")
	for _, p := range r.Mirrors {
		at, missing := "-", fmt.Sprint(len(p.Missing))
		if p.Has > 0 {
			at = since(p.Since)
		}
		if n := len(p.Errors); n > 0 {
			missing += fmt.Sprintf(", %d not checked", n)
		}
		fmt.Fprintf(t, "%s\t%d of %d\t%s\t%s\t%s\n", p.Name, p.Has, r.Blobs, missing, size(p.Bytes), at)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Withdrawn {
		fmt.Fprintf(w, "withdrawn since %s: %s\n", since(x.Since), x.Digest)
	}
	for _, p := range r.Mirrors {
		for _, digest := range p.Missing[:min(len(p.Missing), maxRows)] {
			fmt.Fprintf(w, "missing from %s: %s\n", p.Name, digest)
		}
		if more := len(p.Missing) - maxRows; more > 0 {
			fmt.Fprintf(w, "missing from %s: %d more; use -json to list all\n", p.Name, more)
		}
		if p.Withdrawn > 0 {
			fmt.Fprintf(w, "withdrawn, but still in %s: %s\n", p.Name, blobCount(p.Withdrawn))
		}
		writeErrors(w, p.Errors)
	}
	return nil
}
