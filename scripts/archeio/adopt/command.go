// Package adopt is the command archeio adopt: it puts the buckets of a stage that
// are left over, after the stage was destroyed or its creation failed, back into
// their stacks.
//
// It deletes stacks that failed to be created or deleted and have nothing left but
// a bucket. Then it runs the CDK, which creates the stacks of the buckets and
// imports the buckets as they are, with their objects. If anything else blocks a
// deployment, it changes nothing.
package adopt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

var errNotAdoptable = errors.New("there is something that cannot be adopted; nothing was changed")

// Command returns the command.
func Command() *cobra.Command { return command(connect, runProgram) }

// account is an AWS account that can be searched and changed.
type account interface {
	leftover.Account
	DeleteStack(ctx context.Context, region, stack string) error
	DeletePolicy(ctx context.Context, region, bucket string) error
}

type (
	// connectFunc returns the account of the credentials and its ID.
	connectFunc func(context.Context) (id string, a account, err error)
	// programFunc runs a program with its standard output going to out.
	programFunc func(ctx context.Context, out io.Writer, name string, args ...string) error
)

func command(connect connectFunc, program programFunc) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "adopt [flags] -stage NAME",
		Short: "put buckets of an earlier deployment back into their stacks",
		Long: "Puts buckets that an earlier deployment of a stage left over back into their\n" +
			"stacks, with their objects, so that the stage can be deployed again. Stacks that\n" +
			"failed to be created or deleted are deleted first. If there is something that\n" +
			"cannot be adopted, nothing is changed and the exit code is 1.",
		Example: cli.Example(
			"archeio adopt -stage sandbox -dry-run",
			"archeio adopt -stage sandbox"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.stage.Read()
			if err != nil {
				return err
			}
			if o.cdk = strings.Fields(o.cdkLine); len(o.cdk) == 0 {
				return cli.Usagef(`-cdk %q: want a command, such as "npx aws-cdk"`, o.cdkLine)
			}
			return o.run(c.Context(), s, connect, program, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.StringVar(&o.cdkLine, "cdk", "npx --yes aws-cdk", "`COMMAND` how to run the CDK, with arguments")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be adopted, and change nothing")
	f.BoolVar(&o.asJSON, "json", false, "print what was found as JSON, and everything else on standard error")
	return c
}

type options struct {
	stage          *cli.Stage
	cdkLine        string
	cdk            []string // the fields of cdkLine
	dryRun, asJSON bool
}

func (o *options) run(ctx context.Context, s *stage.Stage, connect connectFunc, program programFunc, stdout, stderr io.Writer) error {
	id, a, err := connect(ctx)
	if err != nil {
		return err
	}
	if id != s.Account {
		return fmt.Errorf("the credentials are for account %s, but the stage is in %s; switch to a profile for that account", id, s.Account)
	}
	found, err := find(ctx, a, s)
	if err != nil {
		return err
	}
	log := stdout // of what is done
	if o.asJSON {
		log = stderr
		err = cli.JSON(stdout, found)
	} else {
		err = found.writeText(stdout)
	}
	switch {
	case err != nil:
		return err
	case !found.Adoptable:
		return errNotAdoptable
	case o.dryRun, len(found.Stacks)+len(found.Buckets) == 0:
		return nil
	}
	ad := adopter{account: a, stage: s, cdk: o.cdk, program: program, log: log}
	return ad.adopt(ctx, found)
}

func connect(ctx context.Context) (string, account, error) {
	c, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return "", nil, err
	}
	c.Region = stage.EdgeRegion
	identity, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", nil, cli.NoCredentials(err)
	}
	id := aws.ToString(identity.Account)
	return id, leftover.NewAWS(c, id), nil
}

func runProgram(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd.Run()
}

// writeText writes what was found as a table.
func (f *findings) writeText(out io.Writer) error {
	if len(f.Stacks)+len(f.Buckets) == 0 {
		_, err := fmt.Fprintf(out, "nothing to adopt; run make deploy STAGE=%s\n", f.Stage)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REGION\tNAME\tDETAILS")
	for _, all := range [][]finding{f.Stacks, f.Buckets} {
		for _, x := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", x.Region, x.Name, x.Details)
		}
	}
	return w.Flush()
}
