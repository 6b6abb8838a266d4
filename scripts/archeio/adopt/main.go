// Command adopt takes back into their stacks the buckets of a stage that have
// outlived them, after a deletion or a creation that failed:
//
//	go run ./scripts/archeio/adopt -stage sandbox
//
// It deletes stacks of which nothing is left but a failed creation or deletion,
// and then has the CDK make the stacks of those buckets with the buckets as they
// are, and nothing in them touched. What is not the stage's own it refuses, and
// then it changes nothing. The exit code is 1 where something is in the way that
// it cannot put right, and 2 where it could not be run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"archeio/infra/leftover"
	"archeio/infra/stage"
)

var errInTheWay = errors.New("something is in the way that cannot be adopted; nothing was changed")

// account is what is asked of AWS, and the little that is changed by hand.
type account interface {
	leftover.Account
	DeleteStack(ctx context.Context, region, stack string) error
	DeletePolicy(ctx context.Context, region, bucket string) error
}

// adopter has the world outside, which tests replace.
type adopter struct {
	// connect answers the account that the credentials are of.
	connect func(context.Context) (id string, a account, err error)
	// run runs a program with this one's input and output.
	run func(ctx context.Context, name string, args ...string) error
	out io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := adopter{connect, run, os.Stdout}.main(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errInTheWay):
		fmt.Fprintln(os.Stderr, "adopt:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "adopt:", err)
		os.Exit(2)
	}
}

func connect(ctx context.Context) (string, account, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", nil, err
	}
	c.Region = stage.EdgeRegion
	who, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", nil, fmt.Errorf("AWS does not take the credentials; log in, as by aws sso login: %w", err)
	}
	id := aws.ToString(who.Account)
	return id, leftover.NewAWS(c, id), nil
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd.Run()
}

func (a adopter) main(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("adopt", flag.ContinueOnError)
	name := flags.String("stage", "", "stage of the file whose buckets to take back")
	file := flags.String("file", "cdk.json", "file with the stages")
	cdk := flags.String("cdk", "npx --yes aws-cdk", "command of the CDK")
	dry := flags.Bool("dry-run", false, "only show what would be done")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := stage.Read(*file, *name)
	if err != nil {
		return err
	}
	id, aws, err := a.connect(ctx)
	if err != nil {
		return err
	}
	if id != s.Account {
		return fmt.Errorf("the credentials are of the account %s, the stage is in %s; switch to its profile", id, s.Account)
	}
	stacks, buckets, err := find(ctx, aws, s)
	if err != nil {
		return err
	}
	all := append(append([]*leftover.Found{}, stacks...), buckets...)
	if len(all) == 0 {
		_, err := fmt.Fprintf(a.out, "nothing stands in the way; run make deploy STAGE=%s\n", s.Name)
		return err
	}
	if err := table(a.out, all); err != nil {
		return err
	}
	for _, f := range all {
		if !f.Adoptable {
			return errInTheWay
		}
	}
	if *dry {
		return nil
	}
	return a.adopt(ctx, aws, s, strings.Fields(*cdk), stacks, buckets)
}

// find answers all that stands in the way.
func find(ctx context.Context, a account, s *stage.Stage) (stacks, buckets []*leftover.Found, err error) {
	for _, st := range s.Stacks() {
		f, err := leftover.Stack(ctx, a, s, st)
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the stack %s in %s: %w", st.Name, st.Region, err)
		}
		if f != nil {
			stacks = append(stacks, f)
		}
	}
	for _, b := range s.RetainedBuckets() {
		_, f, err := leftover.Bucket(ctx, a, s, b)
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the bucket %s in %s: %w", b.Name, b.Region, err)
		}
		if f != nil {
			buckets = append(buckets, f)
		}
	}
	return stacks, buckets, nil
}

// adopt does what find has found out. Stopped half-way it can be started again.
func (a adopter) adopt(ctx context.Context, aws account, s *stage.Stage, cdk []string, stacks, buckets []*leftover.Found) error {
	for _, f := range stacks {
		fmt.Fprintf(a.out, "deleting the stack %s\n", f.Name)
		if err := aws.DeleteStack(ctx, f.Region, f.Name); err != nil {
			return fmt.Errorf("deleting the stack %s in %s: %w", f.Name, f.Region, err)
		}
	}
	if len(buckets) > 0 {
		// A bucket that was given up half-way may still have its policy, and
		// CloudFormation makes none where there is one. Nobody can read from it
		// until its stack is there.
		args := append(append([]string{}, cdk[1:]...), "deploy")
		for _, f := range buckets {
			if err := aws.DeletePolicy(ctx, f.Region, f.Name); err != nil {
				return fmt.Errorf("deleting the policy of the bucket %s: %w", f.Name, err)
			}
			args = append(args, f.Stack)
		}
		args = append(args, "--import-existing-resources", "-c", "stage="+s.Name)
		if err := a.run(ctx, cdk[0], args...); err != nil {
			return fmt.Errorf("%s %s: %w", cdk[0], strings.Join(args, " "), err)
		}
	}
	_, err := fmt.Fprintf(a.out, "done; run make deploy STAGE=%s for the rest\n", s.Name)
	return err
}

func table(out io.Writer, all []*leftover.Found) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHERE\tWHAT\tWHAT TO KNOW")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Region, f.Name, f.Says)
	}
	return w.Flush()
}
